"""Tests of means against statsmodels and against their own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forwardtrader.reports.statistics.significance import (
    bandwidth,
    diebold_mariano,
    mean_test,
    newey_west_variance,
    normal_quantile,
    wilson,
)


def autoregression(n: int, memory: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    series = np.empty(n)
    series[0] = noise[0]
    for t in range(1, n):
        series[t] = memory * series[t - 1] + noise[t]
    return series


@pytest.mark.parametrize("lags", [0, 3, 12])
def test_newey_west_variance_is_that_of_statsmodels(lags: int) -> None:
    import statsmodels.api as sm

    series = autoregression(600, 0.5, seed=1) + 0.3
    fit = sm.OLS(series, np.ones(600)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    assert math.sqrt(newey_west_variance(series, lags) / 600) == pytest.approx(float(fit.bse[0]), rel=1e-6)


def test_a_diebold_mariano_statistic_below_zero_favours_the_first() -> None:
    rng = np.random.default_rng(2)
    better, worse = rng.exponential(1.0, 500), rng.exponential(1.5, 500)
    test = diebold_mariano(better, worse)
    assert test.statistic < -3
    assert test.p < 0.01
    assert diebold_mariano(worse, better).statistic == pytest.approx(-test.statistic)


def test_the_small_sample_factor_is_that_of_harvey_leybourne_and_newbold() -> None:
    series = np.random.default_rng(3).normal(0.2, 1.0, 40)
    horizon = 4
    plain = series.mean() / math.sqrt(newey_west_variance(series, bandwidth(40, horizon)) / 40)
    factor = math.sqrt((40 + 1 - 2 * horizon + horizon * (horizon - 1) / 40) / 40)
    assert mean_test(series, horizon=horizon).statistic == pytest.approx(plain * factor)


def test_overlapping_labels_do_not_make_noise_significant() -> None:
    rng = np.random.default_rng(4)
    rejected = [mean_test(np.convolve(rng.normal(size=1023), np.ones(24), mode="valid"), horizon=24).p < 0.05 for _ in range(400)]
    assert np.mean(rejected) < 0.12
    naive = [mean_test(np.convolve(rng.normal(size=1023), np.ones(24), mode="valid"), horizon=1).p < 0.05 for _ in range(100)]
    assert np.mean(naive) > 0.2


def test_independent_noise_is_called_significant_as_often_as_stated() -> None:
    rng = np.random.default_rng(5)
    assert 0.02 < np.mean([mean_test(rng.normal(size=500)).p < 0.05 for _ in range(600)]) < 0.085


def test_a_mean_of_nothing_is_undefined() -> None:
    assert math.isnan(mean_test(np.zeros(100)).p)
    assert math.isnan(mean_test(np.array([1.0, np.nan])).p)


def test_rounding_is_no_spread_to_test_a_mean_against() -> None:
    assert math.isnan(mean_test(np.full(100, 0.1)).p)


def test_losses_that_only_rounding_tells_apart_are_no_different() -> None:
    losses = np.random.default_rng(6).exponential(1.0, 500)
    assert math.isnan(diebold_mariano(losses, losses * (1.0 + 1e-16) + 1e-16).p)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (5, 10), (530, 1000), (1000, 1000)])
def test_wilson_is_that_of_statsmodels(hits: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    assert wilson(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-9)


def test_normal_quantile_of_ninety_five_per_cent() -> None:
    assert normal_quantile(0.95) == pytest.approx(1.6448536)


def test_the_interval_of_a_mean_holds_zero_where_its_test_finds_nothing() -> None:
    for seed in range(20):
        found = mean_test(np.random.default_rng(seed).normal(0.1, 1.0, 300))
        low, high = found.interval(0.95)
        assert low < found.mean < high and (low > 0.0 or high < 0.0) == (found.p < 0.05)
