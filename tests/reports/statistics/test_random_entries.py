"""Random entries keep what the strategy did and lose only when it did it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from forwardtrader.reports.benchmarks import BenchmarkAccount, follow
from forwardtrader.reports.statistics.random_entries import ExposurePath, compare, exposure_path
from tests.reports.random_trader import FEE, SLIPPAGE, SYMBOL, Habits, random_account

HABITS = {
    "no stop": Habits(leave=0.05),
    "stop": Habits(stop=0.01),
    "stop within a bar": Habits(stop=0.003, enter=0.06),
    "short with stop": Habits(stop=0.01, long=0.0),
    "bracket": Habits(stop=0.01, target=0.01, long=0.5, leave=0.0),
    "bracket within a bar": Habits(stop=0.003, target=0.003, long=0.5, enter=0.06),
}


def market(seed: int, n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, 0.001, n))
    return pd.DataFrame({"open": opened, "close": close}, index=pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC"))


def hold(bars: pd.DataFrame, when: np.ndarray, fee: float = 10.0) -> tuple[ExposurePath, pd.DataFrame]:
    life = follow(bars, np.where(when, 1.0, 0.0), BenchmarkAccount(cash=1000.0, fee_bps=fee, slippage_bps=2.0), "A/B", band=0.5)
    return exposure_path(life.equity, life.fills, {"A/B": bars}), life.equity


def test_the_path_rebuilt_from_fills_earns_what_the_account_earned() -> None:
    bars = market(0)
    path, equity = hold(bars, np.sin(np.arange(2000) / 30) > 0.2)
    assert np.prod(1 + path.net) == pytest.approx(equity["equity"].iloc[-1] / 1000.0, rel=1e-3)


def test_bets_are_round_trips_for_a_position_that_is_all_or_nothing() -> None:
    bars = market(1)
    when = np.zeros(2000, dtype=bool)
    for start in range(100, 1900, 100):
        when[start : start + 20] = True
    path, _ = hold(bars, when)
    assert path.bets == pytest.approx(18, rel=0.02)


def test_a_clairvoyant_beats_random_entries() -> None:
    bars = market(2)
    ahead = bars["close"].shift(-6).bfill().to_numpy() > bars["close"].to_numpy()
    path, _ = hold(bars, pd.Series(ahead).rolling(3).min().fillna(0).to_numpy() > 0, fee=0.0)
    assert compare(path, samples=200).p < 0.02


def test_blind_timing_is_called_good_as_often_as_stated() -> None:
    values = []
    for seed in range(80):
        bars = market(seed + 100, n=800)
        when = pd.Series(np.random.default_rng(seed).normal(size=800)).rolling(12).mean().fillna(0).to_numpy() > 0.1
        values.append(compare(hold(bars, when)[0], samples=100, seed=seed).p)
    assert np.mean(np.array(values) < 0.05) <= 0.12
    assert 0.35 < np.mean(values) < 0.65


def test_holding_all_the_time_is_no_timing() -> None:
    path, _ = hold(market(3), np.ones(2000, dtype=bool))
    assert compare(path, samples=100).p > 0.9


def test_a_random_path_pays_the_same_costs() -> None:
    bars = market(4)
    flat = bars.assign(open=100.0, close=100.0)
    path, _ = hold(flat, np.sin(np.arange(2000) / 30) > 0.2)
    found = compare(path, samples=20)
    assert found.net.sum() == pytest.approx(path.net.sum())
    assert found.net.sum() < 0


def test_without_a_trade_there_is_nothing_to_compare() -> None:
    found = compare(hold(market(5), np.zeros(2000, dtype=bool))[0])
    assert np.isnan(found.p)
    assert found.samples == 0


@pytest.mark.parametrize("name", HABITS)
def test_p_is_uniform_where_nothing_can_be_forecast(name: str) -> None:
    values = []
    for seed in range(60):
        bars, equity, fills = random_account(seed, HABITS[name])
        values.append(compare(exposure_path(equity, fills, {SYMBOL: bars}), samples=99, seed=seed).p)
    assert kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) < 0.05) <= 0.15  # 3 of 60 are expected, more than 9 would be a chance of two in a thousand


@pytest.mark.parametrize("name", HABITS)
def test_costs_are_fees_and_slippage_and_never_the_fall_to_a_stop(name: str) -> None:
    bars, equity, fills = random_account(1, HABITS[name])
    path = exposure_path(equity, fills, {SYMBOL: bars})
    assert path.round_trip_cost == pytest.approx(2 * (FEE + SLIPPAGE), rel=1e-3)
    assert np.prod(1 + path.net) == pytest.approx(equity["equity"].iloc[-1] / 10_000, rel=1e-9)


def test_fees_taken_in_the_coin_do_not_merge_trades() -> None:
    bars, equity, fills = random_account(2, HABITS["no stop"], bars=6000)
    held = exposure_path(equity, fills, {SYMBOL: bars}).held
    entries = np.count_nonzero(held & ~np.append(False, held[:-1]))
    assert entries == (fills["side"] == "buy").sum() > 60


def test_a_position_that_opens_and_closes_within_one_bar_was_held_in_it() -> None:
    bars, equity, fills = random_account(3, HABITS["bracket within a bar"])
    path = exposure_path(equity, fills, {SYMBOL: bars})
    within = fills.groupby("timestamp").size()
    once = within.index[within == 2]
    assert len(once) > 10
    assert (path.gross[bars.index.get_indexer(once)] > 0.3).all()


def test_small_positions_are_compared_too() -> None:
    """A stake of a thousandth of the account is a position; only against the largest one is a rest called dust."""
    bars, equity, fills = random_account(4, HABITS["stop"])
    small = fills.assign(**{name: fills[name] / 500 for name in ("size", "fee", "slippage")})
    little = 10_000 + (equity - 10_000) / 500
    found = compare(exposure_path(little, small, {SYMBOL: bars}), samples=100)
    assert found.samples == 100
    assert found.p == pytest.approx(compare(exposure_path(equity, fills, {SYMBOL: bars}), samples=100).p, abs=0.05)


def test_bars_that_a_symbol_lacks_are_no_bars_without_a_move() -> None:
    bars, equity, fills = random_account(5, HABITS["no stop"])
    whole = exposure_path(equity, fills, {SYMBOL: bars})
    ended = exposure_path(equity, fills, {SYMBOL: bars, "C/B": bars.iloc[:200]})
    first = exposure_path(equity.iloc[:200], fills.iloc[:0], {SYMBOL: bars})
    assert ended.mean_move == pytest.approx((1000 * whole.mean_move + 200 * first.mean_move) / 1200, rel=0.01)
