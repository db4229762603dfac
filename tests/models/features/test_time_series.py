"""Features of time-series analysis find what was planted, and come on request alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import group_of
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.features.time_series.catalogue import TIME_SERIES
from forwardtrader.models.features.time_series.weighted import ewma

HOUR = Timeframe.parse("1h")
COUNT = 4000


def bars_of(returns: np.ndarray) -> Bars:
    """A market with these returns."""
    close = 100.0 * np.exp(np.cumsum(returns))
    opened = np.append(100.0, close[:-1])
    high, low = np.maximum(opened, close) * 1.0001, np.minimum(opened, close) * 0.9999
    return Bars(np.arange(len(close)) * 3_600_000_000_000, opened, high, low, close, np.ones(len(close)))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.005, COUNT)


def persistent(seed: int, phi: float = 0.3) -> np.ndarray:
    shocks, out = noise(seed), np.zeros(COUNT)
    for n in range(1, COUNT):
        out[n] = phi * out[n - 1] + shocks[n]
    return out


def switching(seed: int) -> np.ndarray:
    """Calm for 400 bars, wild for 100, and so on."""
    return noise(seed) * np.where(np.arange(COUNT) % 500 < 400, 0.5, 2.0)


def feature(name: str, returns: np.ndarray) -> np.ndarray:
    return TIME_SERIES[name].compute(bars_of(returns))


def test_they_are_off_unless_they_are_named() -> None:
    assert not [name for name in chosen((), (), HOUR) if name.startswith("ts_")]
    assert not [name for name in chosen(("*",), (), HOUR) if name.startswith("ts_")]
    assert set(chosen(("ts_*",), (), HOUR)) == set(TIME_SERIES)
    assert {group_of(name) for name in TIME_SERIES} == {"time series"}


@pytest.mark.parametrize(("name", "least"), [("ts_autocorrelation_1", 0.2), ("ts_variance_ratio_4", 0.2)])
def test_persistence_is_found_where_it_is_and_not_where_it_is_not(name: str, least: float) -> None:
    made: list[tuple[Callable[[int], np.ndarray], float]] = [(persistent, 1.0), (lambda seed: persistent(seed, -0.3), -1.0)]
    for series, sign in made:
        assert np.nanmean(feature(name, series(1))) * sign > least
    assert abs(np.nanmean(feature(name, noise(1)))) < 0.05


def test_a_day_that_repeats_the_one_before_is_found() -> None:
    daily = noise(2)
    for n in range(24, COUNT):
        daily[n] = 0.4 * daily[n - 24] + 0.9 * daily[n]
    assert np.nanmean(feature("ts_autocorrelation_24", daily)) > 0.3


def test_the_wild_regime_is_told_from_the_calm_one() -> None:
    wild = feature("ts_wild_regime", switching(3))
    inside = np.arange(COUNT) % 500 >= 410
    assert np.nanmedian(wild[inside]) > 0.5 > -0.5 > np.nanmedian(wild[~inside])
    assert np.nanmin(wild) >= -1.0 and np.nanmax(wild) <= 1.0


def test_the_volatility_filter_reacts_sooner_than_the_week_and_its_surprises_have_a_spread_of_about_one() -> None:
    returns = switching(4)
    jump = feature("ts_volatility_filter_94", returns)
    assert jump[900 + 15] - jump[900 - 1] > 0.5  # the wild regime began at 900
    assert 0.8 < np.nanstd(feature("ts_surprise", noise(5))) < 1.3


def test_falls_that_make_a_market_restless_are_seen() -> None:
    returns = noise(6)
    for n in range(1, COUNT):
        returns[n] *= 1.0 + 1.5 * (returns[n - 1] < 0)
    assert np.nanmean(feature("ts_leverage_168", returns)) < np.nanmean(feature("ts_leverage_168", noise(6))) - 0.1


@pytest.mark.parametrize("n", [1, 2, 7, 48, 168])
def test_weights_are_those_of_the_mean_by_hand(n: int) -> None:
    x, weights = noise(7), 0.9 ** np.arange(n)
    expected = np.convolve(x, weights)[n - 1 : COUNT] / weights.sum()
    np.testing.assert_allclose(ewma(x, 0.9, n)[n - 1 :], expected, rtol=1e-9, atol=1e-15)
