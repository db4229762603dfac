from __future__ import annotations

import pandas as pd
import pytest

from forwardtrader.reports.artefacts import empty_equity, empty_fills
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.summary import portfolio_of, summarise_strategy
from tests.reports import simulated


def test_the_summary_agrees_with_the_metrics_it_is_made_of() -> None:
    run = simulated.run(2400)
    summary = summarise_strategy(run.equity, run.fills, 365, start_equity=10_000.0)
    returns = metrics.returns_of(metrics.daily(run.equity["equity"]), 10_000.0)
    assert summary.sharpe == pytest.approx(metrics.sharpe(returns, 365))
    assert summary.total_return == pytest.approx(run.equity["equity"].iloc[-1] / 10_000 - 1)
    assert summary.fees == pytest.approx(run.fills["fee"].sum())
    assert summary.days == 100


def test_the_cost_of_trading_at_break_even_is_the_profit_that_was_made() -> None:
    run = simulated.run(2400)
    summary = summarise_strategy(run.equity, run.fills, 365, start_equity=10_000.0)
    profit = summary.final_equity - 10_000
    assert summary.break_even_bps * summary.notional / 1e4 == pytest.approx(profit + summary.fees + summary.slippage)


def test_an_account_that_never_traded_has_no_ratios_and_no_trades() -> None:
    run = simulated.run(800, trades=False)
    summary = summarise_strategy(run.equity, run.fills, 365)
    assert (summary.trades, summary.total_return, summary.max_drawdown, summary.exposure) == (0, 0.0, 0.0, 0.0)
    assert summary.sharpe is None
    assert summary.break_even_bps is None


def test_contributions_of_the_symbols_add_up_to_the_profit_and_more_money_earns_less() -> None:
    run = simulated.run(2400)
    candles = {"BTC/USDT": simulated.candles(2400)}
    portfolio = portfolio_of(run.equity, run.fills, candles, 365, 10_000.0)
    assert portfolio is not None
    [part] = portfolio.symbols
    assert part.profit == pytest.approx(run.equity["equity"].iloc[-1] - 10_000)
    returns = [row.total_return for row in portfolio.capacity]
    assert returns == sorted(returns, reverse=True) and len(set(returns)) == 4
    assert portfolio_of(run.equity, empty_fills(), candles, 365, 10_000.0) is None


def test_an_empty_curve_is_summed_up_without_an_error() -> None:
    summary = summarise_strategy(empty_equity(), empty_fills(), 365)
    assert (summary.days, summary.total_return) == (0, None)


def test_a_crash_inside_one_day_counts_as_drawdown() -> None:
    times = pd.date_range("2022-01-01", periods=4, freq="6h", tz="UTC")
    equity = pd.DataFrame({"equity": [100.0, 50.0, 80.0, 100.0]}, index=times)
    assert summarise_strategy(equity, empty_fills(), 365).max_drawdown == pytest.approx(-0.5)
