"""The statistics of a series find what was planted, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.statistics.series.dependence import autocorrelation, cross_correlation
from forwardtrader.reports.statistics.series.regimes import regimes
from forwardtrader.reports.statistics.series.seasonality import by_hour, by_weekday
from forwardtrader.reports.statistics.series.stationarity import stationarity
from forwardtrader.reports.statistics.series.volatility_model import volatility_model


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def garch(n: int, alpha: float, beta: float, seed: int = 0) -> np.ndarray:
    shocks, out, variance = noise(n, seed), np.zeros(n), 1.0
    for t in range(n):
        out[t] = np.sqrt(variance) * shocks[t]
        variance = 1.0 - alpha - beta + alpha * out[t] ** 2 + beta * variance
    return out * 0.01


def test_a_random_walk_wanders_and_its_steps_are_stationary() -> None:
    steps = noise(2000)
    walk, plain = stationarity(np.cumsum(steps)), stationarity(steps)
    assert walk is not None
    assert plain is not None
    assert (walk.says, plain.says) == ("a unit root: it wanders", "stationary")


@pytest.mark.parametrize("values", [np.full(500, 3.0), noise(20), np.full(500, np.nan)])
def test_what_stands_still_or_is_too_short_is_not_tested(values: np.ndarray) -> None:
    assert stationarity(values) is None
    assert volatility_model(values) is None
    assert regimes(values) is None


def test_planted_dependence_is_found_and_changing_volatility_is_not_taken_for_it() -> None:
    plain = noise(4000)
    planted = plain.copy()
    planted[3:] += 0.15 * plain[:-3]
    found = autocorrelation(planted, 20)
    assert found is not None
    assert (found.strongest, found.p < 0.001) == (3, True)
    false = [autocorrelation(garch(3000, 0.15, 0.8, seed), 20) for seed in range(20)]
    assert sum(each is not None and each.p < 0.05 for each in false) <= 4  # 5 in 100 are to be expected


def test_who_leads_is_found_in_the_right_direction() -> None:
    leader = noise(3000)
    follower = 0.3 * np.concatenate([np.zeros(2), leader[:-2]]) + noise(3000, 1)
    lags = (*range(-5, 0), *range(1, 6))
    found, back = cross_correlation(follower, leader, lags), cross_correlation(leader, follower, lags)
    assert found is not None
    assert back is not None
    assert (found.strongest, back.strongest) == (2, -2)
    assert cross_correlation(noise(30), noise(30), lags) is None


def test_seasons_are_found_where_they_are() -> None:
    index = pd.date_range("2024-01-01", periods=24 * 200, freq="h", tz="UTC")
    returns = pd.Series(noise(len(index)), index=index).where(index.hour != 14, lambda each: each * 3.0)
    sizes = {each.name: each.size for each in by_hour(returns)}
    assert max(sizes, key=lambda name: sizes[name]) == "14"
    assert len(sizes) == 24
    assert [each.name for each in by_weekday(returns)][:2] == ["Monday", "Tuesday"]
    assert by_hour(returns.resample("1D").sum()) == []


def test_a_volatility_that_follows_a_model_gives_its_parameters_back() -> None:
    found = volatility_model(garch(6000, 0.1, 0.85))
    assert found is not None
    assert found.persistence == pytest.approx(0.95, abs=0.03)
    assert found.half_life == pytest.approx(13.5, rel=0.7)
    assert found.aic["GARCH"] < found.aic["constant"]


def test_two_planted_regimes_are_told_apart() -> None:
    wild = np.repeat([False, True] * 8, 60)
    found = regimes(noise(len(wild)) * np.where(wild, 0.05, 0.01))
    assert found is not None
    assert found.calm.volatility == pytest.approx(0.01, rel=0.2)
    assert found.wild.volatility == pytest.approx(0.05, rel=0.2)
    assert found.wild_probability[wild].mean() > 0.85
    assert found.wild_probability[~wild].mean() < 0.15
