from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.reports.benchmarks import BenchmarkAccount, buy_and_hold, follow, volatility_targeted
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.summary import summarise_strategy
from forwardtrader.strategies.margin.account import MarginAccount, Stake
from tests.reports import simulated

PERPETUAL = "BTC/USDT:USDT"
FREE = BenchmarkAccount(cash=1000.0, fee_bps=0, slippage_bps=0)
COSTLY = BenchmarkAccount(cash=1000.0, fee_bps=10, slippage_bps=2)


def bars(opens: list[float], closes: list[float]) -> pd.DataFrame:
    index = pd.date_range("2022-01-01", periods=len(opens), freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame({"open": opens, "close": closes}, index=index)


def test_holding_buys_at_the_open_after_the_first_bar_and_never_again() -> None:
    held = buy_and_hold({"BTC/USDT": bars([100, 50, 60], [80, 60, 75])}, FREE)
    assert held.equity["equity"].tolist() == [1000.0, 1200.0, 1500.0]
    assert held.equity["exposure"].tolist() == pytest.approx([0.0, 1.0, 1.0])
    assert held.fills[["side", "price", "size"]].to_numpy().tolist() == [["buy", 50.0, 20.0]]


def test_holding_pays_its_costs_and_never_spends_more_than_it_has() -> None:
    held = buy_and_hold({"BTC/USDT": bars([100, 100], [100, 100])}, COSTLY)
    paid = 1000 / (100 * 1.0002 * 1.001)
    assert held.fills["size"].iloc[0] == pytest.approx(paid)
    assert held.equity["cash"].iloc[-1] == pytest.approx(0.0, abs=1e-9)
    assert held.equity["equity"].iloc[-1] == pytest.approx(paid * 100)


def test_two_symbols_share_the_cash_and_a_late_one_waits_in_cash() -> None:
    early, late = bars([10, 10, 20, 20], [10, 20, 20, 20]), bars([5, 5, 5, 10], [5, 5, 5, 10]).iloc[2:]
    held = buy_and_hold({"A/USDT": early, "B/USDT": late}, FREE)
    assert held.equity["equity"].tolist() == [1000.0, 1500.0, 1500.0, 1500.0]
    assert held.fills["symbol"].tolist() == ["A/USDT", "B/USDT"]


@given(st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(-0.003, 0.003)), min_size=3, max_size=40))
def test_a_held_perpetual_pays_its_funding_as_a_margin_account_does(steps: list[tuple[float, float]]) -> None:
    closes = [100.0 * float(np.prod([1.0 + move for move, _ in steps[: n + 1]])) for n in range(len(steps))]
    frame = bars([100.0, *closes[:-1]], closes)
    rates = pd.Series([rate for _, rate in steps], index=frame.index)
    held = buy_and_hold({PERPETUAL: frame}, replace(COSTLY, charges={PERPETUAL: rates * frame["open"]}))
    stake = Stake.of(market_rules(PERPETUAL, "binance"))
    account = MarginAccount(1000.0, 1.0, [stake])
    for n, (opened, close, rate) in enumerate(zip(frame["open"], frame["close"], rates, strict=True)):
        stake.mark = opened
        account.fund(stake, opened, rate)
        if n == 1:
            bought = held.fills.iloc[0]
            account.settle(stake, bought["size"], bought["price"], bought["fee"])
        stake.mark = close
        assert held.equity["equity"].iloc[n] == pytest.approx(account.equity(), rel=1e-12)
    assert held.fills["fee_currency"].tolist() == ["USDT"]


def test_a_target_volatility_is_not_bought_with_money_that_funding_took() -> None:
    frame = bars([100.0] * 2000, [100.0 * (1.001 if n % 2 else 0.999) for n in range(2000)])
    charges = {PERPETUAL: pd.Series(0.01, index=frame.index)}
    life = volatility_targeted({PERPETUAL: frame}, replace(COSTLY, charges=charges), target=3.0, periods_per_year=365)
    assert (life.fills["size"] > 0).all()
    assert life.equity["equity"].iloc[-1] < 1000.0


def test_the_target_holds_less_when_the_market_is_wilder() -> None:
    rng = np.random.default_rng(0)
    calm, wild = rng.normal(0, 0.002, 2400), rng.normal(0, 0.02, 2400)
    close = 100 * np.exp(np.cumsum(np.concatenate([calm, wild])))
    candles = bars([100.0, *close[:-1]], list(close))
    life = volatility_targeted({"BTC/USDT": candles}, COSTLY, target=0.3, periods_per_year=365)
    assert life.equity["exposure"].iloc[2200] == pytest.approx(1.0, abs=0.02)
    assert life.equity["exposure"].iloc[-1] == pytest.approx(0.3 / (0.02 * np.sqrt(8760)), abs=0.06)


def test_the_target_volatility_is_nearly_met() -> None:
    market = simulated.candles(24 * 700, seed=5)
    life = volatility_targeted({"BTC/USDT": market}, COSTLY, target=0.2, periods_per_year=365)
    lived = metrics.volatility(metrics.returns_of(metrics.daily(life.equity["equity"])), 365)
    assert lived == pytest.approx(0.2, rel=0.3)


def test_history_before_the_first_traded_day_is_used_but_not_traded() -> None:
    market = simulated.candles(24 * 60, seed=5)
    first = market.index[24 * 30]
    life = volatility_targeted({"BTC/USDT": market}, COSTLY, target=0.2, periods_per_year=365, trade_from=first.to_pydatetime())
    assert life.equity.index[0] == first
    assert life.fills["timestamp"].iloc[0] == first + pd.Timedelta(days=1)


@pytest.mark.parametrize("cut", [24 * 20, 24 * 33 + 7])
def test_a_benchmark_never_sees_the_future(cut: int) -> None:
    market = simulated.candles(24 * 40, seed=2)
    later = market.copy()
    later.iloc[cut:] *= 1.5
    lives = [volatility_targeted({"BTC/USDT": m}, COSTLY, target=0.3, periods_per_year=365) for m in (market, later)]
    whole_days = (lives[0].fills["timestamp"] < market.index[cut]).sum()
    pd.testing.assert_frame_equal(lives[0].equity.iloc[:cut], lives[1].equity.iloc[:cut])
    pd.testing.assert_frame_equal(lives[0].fills.iloc[:whole_days], lives[1].fills.iloc[:whole_days])


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.lists(st.floats(1, 1000), min_size=6, max_size=6))
def test_cash_is_never_negative_and_money_is_conserved(targets: list[float], prices: list[float]) -> None:
    candles = bars(prices, prices)
    life = follow(candles, np.array([*targets, np.nan]), COSTLY, "BTC/USDT")
    assert (life.equity["cash"] >= -1e-6).all()
    signed = life.fills["size"] * np.where(life.fills["side"] == "buy", 1.0, -1.0)
    cash = 1000 - (signed * life.fills["price"]).sum() - life.fills["fee"].sum()
    assert life.equity["equity"].iloc[-1] == pytest.approx(cash + signed.sum() * prices[-1], rel=1e-9, abs=1e-6)


def test_a_benchmark_is_summed_up_like_a_strategy() -> None:
    life = buy_and_hold({"BTC/USDT": simulated.candles(500)}, COSTLY)
    summary = summarise_strategy(life.equity, life.fills, 365, start_equity=1000.0)
    assert summary.fills == 1
    assert summary.fees == pytest.approx(1000 * 0.001 / 1.001, rel=1e-6)
    assert summary.trades == 0


def test_no_candles_are_no_benchmark() -> None:
    assert len(buy_and_hold({}, COSTLY).equity) == 0
