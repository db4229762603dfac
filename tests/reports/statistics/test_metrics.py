from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.reports.statistics import metrics


def curve(*values: float, freq: str = "D") -> pd.Series:
    return pd.Series(values, index=pd.date_range("2022-01-01", periods=len(values), freq=freq, tz="UTC"), dtype=float)


def test_a_doubling_in_365_days_is_a_cagr_of_100_per_cent() -> None:
    equity = curve(*np.geomspace(1.0, 2.0, 366))
    assert metrics.cagr(metrics.returns_of(equity), 365) == pytest.approx(1.0)


def test_the_first_bar_has_a_return_when_the_starting_cash_is_known() -> None:
    equity = curve(11.0, 12.1)
    assert metrics.returns_of(equity).tolist() == pytest.approx([0.1])
    assert metrics.returns_of(equity, 10.0).tolist() == pytest.approx([0.1, 0.1])


def test_returns_leave_their_input_as_it_was() -> None:
    equity = curve(1.0, 2.0)
    metrics.returns_of(equity, 5.0)
    assert equity.tolist() == [1.0, 2.0]


def test_daily_takes_the_last_bar_of_each_utc_day_and_invents_no_day() -> None:
    times = pd.DatetimeIndex(["2022-01-01 22:00", "2022-01-01 23:00", "2022-01-04 01:00"], tz="UTC")
    days = metrics.daily(pd.Series([1.0, 2.0, 3.0], index=times))
    assert days.tolist() == [2.0, 3.0]
    assert days.index.strftime("%Y-%m-%d").tolist() == ["2022-01-01", "2022-01-04"]


def test_sharpe_and_sortino_match_numbers_worked_by_hand() -> None:
    returns = pd.Series([0.01, -0.02, 0.03, 0.00])
    deviation = math.sqrt(((0.005**2) + 0.025**2 + 0.025**2 + 0.005**2) / 3)
    assert metrics.sharpe(returns, 252) == pytest.approx(0.005 / deviation * math.sqrt(252))
    assert metrics.sortino(returns, 252) == pytest.approx(0.005 / math.sqrt(0.0004 / 4) * math.sqrt(252))


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.001] * 9])
def test_a_ratio_without_variation_is_not_a_number(returns: list[float]) -> None:
    assert math.isnan(metrics.sharpe(pd.Series(returns, dtype=float), 365))


def test_drawdown_counts_from_the_starting_cash_when_the_first_bar_already_lost() -> None:
    assert metrics.max_drawdown(curve(8.0, 9.0)) == 0.0
    assert metrics.max_drawdown(curve(8.0, 9.0), start=10.0) == pytest.approx(-0.2)


def test_the_longest_drawdown_runs_from_peak_to_recovery() -> None:
    assert metrics.longest_drawdown(curve(1.0, 3.0, 2.0, 2.5, 3.5, 3.4)) == pd.Timedelta(days=2)


def test_an_account_that_was_lost_has_a_cagr_of_minus_one() -> None:
    assert metrics.cagr(pd.Series([0.1, -1.0]), 365) == -1.0


def test_break_even_cost_is_the_cost_that_eats_the_gross_profit() -> None:
    assert metrics.break_even_bps(net_profit=40.0, costs=60.0, notional=100_000.0) == pytest.approx(10.0)
    assert math.isnan(metrics.break_even_bps(1.0, 0.0, 0.0))


def test_monthly_returns_compound_to_the_total_return() -> None:
    rng = np.random.default_rng(1)
    equity = pd.Series(
        1000 * np.exp(np.cumsum(rng.normal(0, 0.02, 800))), index=pd.date_range("2021-11-15", periods=800, freq="D", tz="UTC")
    )
    table = metrics.monthly_returns(equity, start=1000.0)
    assert np.nanprod(1 + table.to_numpy()) == pytest.approx(equity.iloc[-1] / 1000)
    assert table.index.tolist() == [2021, 2022, 2023, 2024]
    assert math.isnan(table.loc[2021, 1])


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=50), st.floats(0.01, 100))
def test_no_number_of_a_curve_depends_on_its_currency(returns: list[float], factor: float) -> None:
    equity = curve(*np.cumprod(1 + np.array(returns)))
    same = metrics.returns_of(equity * factor)
    assert metrics.total_return(same) == pytest.approx(metrics.total_return(metrics.returns_of(equity)), abs=1e-9)
    assert metrics.max_drawdown(equity * factor) == pytest.approx(metrics.max_drawdown(equity), abs=1e-9)


@given(st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=50))
def test_a_drawdown_is_never_above_zero_nor_below_minus_one(returns: list[float]) -> None:
    depth = metrics.drawdown(curve(*np.cumprod(1 + np.array(returns))), start=1.0)
    assert ((depth <= 0) & (depth >= -1)).all()
