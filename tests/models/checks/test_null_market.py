"""Nobody can forecast the null market, and the planted one is as strong as it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.models.checks.null_market import null_market, planted_market


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 6000
    spread = 0.006 * np.exp(np.cumsum(rng.normal(0, 0.03, n)) * 0.3)
    close = 30_000 * np.exp(np.cumsum(spread * rng.standard_t(4, n)))
    opened = np.append(30_000.0, close[:-1])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    frame = {"open": opened, "high": high, "low": low, "close": close, "volume": rng.exponential(100.0, n)}
    return pd.DataFrame(frame, index=pd.date_range("2022-01-01", periods=n, freq="h", tz="UTC"))


def returns(frame: pd.DataFrame) -> np.ndarray:
    return np.diff(np.log(frame["close"].to_numpy()))


def encloses(frame: pd.DataFrame) -> bool:
    top, bottom = frame[["open", "close"]].max(axis=1), frame[["open", "close"]].min(axis=1)
    return bool((frame["high"] >= top).all() and (frame["low"] <= bottom).all() and (frame > 0).all().all())


def test_the_null_market_keeps_the_size_of_every_move(bars: pd.DataFrame) -> None:
    sizes = np.abs(returns(bars))
    assert np.abs(np.abs(returns(null_market(bars, 1))) - sizes).max() < np.log(np.cosh(sizes.max())) + 1e-12


def test_the_null_market_is_a_martingale_in_price() -> None:
    """Each simple return has mean zero: (e^r + e^-r) / 2 / cosh r = 1."""
    size = np.array([0.001, 0.05, 0.3])
    up, down = np.exp(size - np.log(np.cosh(size))), np.exp(-size - np.log(np.cosh(size)))
    assert (up + down) / 2 == pytest.approx(np.ones(3))


def test_rules_that_look_back_find_nothing_in_the_null_market(bars: pd.DataFrame) -> None:
    correlations = []
    for seed in range(60):
        r = returns(null_market(bars, seed))
        correlations.append(np.corrcoef(np.sign(r[:-1]), np.sign(r[1:]))[0, 1] * np.sqrt(len(r)))
    assert np.mean(np.abs(correlations) > 1.96) <= 0.13
    assert abs(np.mean(correlations)) < 0.45


def test_equal_seeds_make_equal_markets_and_others_do_not(bars: pd.DataFrame) -> None:
    assert null_market(bars, 3).equals(null_market(bars, 3))
    assert not null_market(bars, 3).equals(null_market(bars, 4))


def test_both_markets_are_candles(bars: pd.DataFrame) -> None:
    assert encloses(null_market(bars, 1))
    assert encloses(planted_market(bars, 0.2, 1).bars)
    assert null_market(bars, 1).index.equals(bars.index)


@pytest.mark.parametrize("ic", [0.05, 0.2])
def test_the_planted_signal_is_as_strong_as_it_says(bars: pd.DataFrame, ic: float) -> None:
    markets = [planted_market(bars, ic, seed) for seed in range(8)]
    assert np.mean([market.attainable for market in markets]) == pytest.approx(6 / np.pi * np.arcsin(ic / 2), abs=0.015)
    hits = [np.mean(np.sign(m.signal.to_numpy()[:-1]) == np.sign(returns(m.bars))) for m in markets]
    assert np.mean(hits) == pytest.approx(0.5 + np.arcsin(ic) / np.pi, abs=0.015)


def test_the_planted_signal_can_be_read_off_the_volume(bars: pd.DataFrame) -> None:
    market = planted_market(bars, 0.2, 2)
    assert np.corrcoef(np.log(market.bars["volume"]), market.signal)[0, 1] > 0.999


def test_the_planted_market_moves_as_much_as_the_real_one(bars: pd.DataFrame) -> None:
    ratio = returns(planted_market(bars, 0.2, 3).bars).std() / returns(bars).std()
    assert 0.7 < ratio < 1.4
