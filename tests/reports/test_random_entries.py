"""Random entries keep what the strategy did and lose only when it did it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.benchmarks import Account, follow
from reports.random_entries import ExposurePath, compare, exposure_path


def market(seed: int, n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, 0.001, n))
    return pd.DataFrame({"open": opened, "close": close}, index=pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC"))


def hold(bars: pd.DataFrame, when: np.ndarray, fee: float = 10.0) -> tuple[ExposurePath, pd.DataFrame]:
    life = follow(bars, np.where(when, 1.0, 0.0), Account(cash=1000.0, fee_bps=fee, slippage_bps=2.0), "A/B", band=0.5)
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
    assert compare(path, samples=100).p > 0.2


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
