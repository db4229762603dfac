"""The Sharpe tests against the worked examples of their papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forwardtrader.reports.statistics.sharpe_tests import (
    SharpeMoments,
    deflated_sharpe,
    effective_trials,
    expected_best_normal,
    expected_best_sharpe,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_interval,
    sharpe_moments,
)


def test_deflated_sharpe_of_the_2014_paper() -> None:
    """Bailey & López de Prado 2014: annual SR 2.5 over 1250 days (250 a year), 100 trials with variance 1/2, skew -3, kurtosis 10."""
    moments = SharpeMoments(sharpe=2.5 / math.sqrt(250), skew=-3.0, kurtosis=10.0, periods=1250)
    assert expected_best_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=1e-4)
    assert deflated_sharpe(moments, 100, 0.5 / 250) == pytest.approx(0.9004, abs=2e-4)


def test_forty_six_trials_would_have_been_significant_in_the_2014_paper() -> None:
    moments = SharpeMoments(sharpe=2.5 / math.sqrt(250), skew=-3.0, kurtosis=10.0, periods=1250)
    assert deflated_sharpe(moments, 46, 0.5 / 250) == pytest.approx(0.9505, abs=5e-4)


def test_with_normal_returns_eighty_eight_trials_would_have_been_allowed() -> None:
    moments = SharpeMoments(sharpe=2.5 / math.sqrt(250), skew=0.0, kurtosis=3.0, periods=1250)
    assert deflated_sharpe(moments, 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-4)


def test_probabilistic_sharpe_of_the_2012_paper() -> None:
    """Bailey & López de Prado 2012: 24 months, SR 0.458 a month, skew -2.448, kurtosis 10.164: 91.3 % above 0, 98.2 % if normal."""
    fat = SharpeMoments(sharpe=0.458, skew=-2.448, kurtosis=10.164, periods=24)
    normal = SharpeMoments(sharpe=0.458, skew=0.0, kurtosis=3.0, periods=24)
    assert probabilistic_sharpe(fat) == pytest.approx(0.913, abs=0.001)
    assert probabilistic_sharpe(normal) == pytest.approx(0.982, abs=0.001)


@pytest.mark.parametrize(("annual", "years"), [(0.5, 10.8), (1.0, 2.7), (1.5, 1.2), (2.0, 0.7)])
def test_years_needed_to_show_a_sharpe_ratio_of_normal_days(annual: float, years: float) -> None:
    moments = SharpeMoments(sharpe=annual / math.sqrt(252), skew=0.0, kurtosis=3.0, periods=1000)
    assert minimum_track_record(moments) / 252 == pytest.approx(years, abs=0.06)


def test_a_track_just_long_enough_is_significant_at_its_own_level() -> None:
    moments = SharpeMoments(sharpe=0.08, skew=-1.0, kurtosis=7.0, periods=0)
    needed = minimum_track_record(moments)
    long_enough = SharpeMoments(sharpe=0.08, skew=-1.0, kurtosis=7.0, periods=math.ceil(needed))
    assert probabilistic_sharpe(long_enough) == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize(("trials", "years"), [(10, 2.5), (45, 5.0), (100, 6.4), (1000, 10.6)])
def test_minimum_backtest_length_of_the_2014_paper(trials: int, years: float) -> None:
    assert minimum_backtest_years(trials) == pytest.approx(years, abs=0.15)


def test_the_best_of_many_worthless_tries_is_as_large_as_expected() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 50)).max(axis=1)
    assert expected_best_normal(50) == pytest.approx(draws.mean(), abs=0.03)


def test_one_trial_deflates_nothing() -> None:
    moments = SharpeMoments(sharpe=0.1, skew=0.0, kurtosis=3.0, periods=500)
    assert deflated_sharpe(moments, 1, 0.0) == probabilistic_sharpe(moments)


def test_more_trials_never_help() -> None:
    moments = SharpeMoments(sharpe=0.1, skew=0.0, kurtosis=3.0, periods=500)
    values = [deflated_sharpe(moments, n, 0.001) for n in (1, 2, 5, 20, 500)]
    assert values == sorted(values, reverse=True)


def test_moments_are_those_of_scipy() -> None:
    from scipy import stats

    returns = np.random.default_rng(1).standard_t(5, 400) * 0.01 + 0.001
    moments = sharpe_moments(returns)
    assert moments.skew == pytest.approx(float(stats.skew(returns)))
    assert moments.kurtosis == pytest.approx(float(stats.kurtosis(returns, fisher=False)))
    assert moments.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))


def test_an_account_that_never_moved_has_no_sharpe_ratio() -> None:
    moments = sharpe_moments(np.zeros(100))
    assert math.isnan(moments.sharpe)
    assert math.isnan(probabilistic_sharpe(moments))


def test_the_interval_of_the_sharpe_ratio_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    true = 0.05 * math.sqrt(365)
    inside = 0
    for seed in range(120):
        low, high = sharpe_interval(rng.normal(0.001, 0.02, 700), 365, samples=300, seed=seed)
        inside += low <= true <= high
    assert inside / 120 > 0.88


def test_the_interval_agrees_with_arch() -> None:
    from arch.bootstrap import StationaryBootstrap

    from forwardtrader.reports.statistics.bootstrap import block_length

    returns = np.random.default_rng(3).normal(0.001, 0.02, 900)
    theirs = StationaryBootstrap(block_length(returns), returns, seed=4).conf_int(
        lambda x: np.atleast_1d(x.mean() / x.std() * math.sqrt(365)), 1500, method="percentile"
    )
    ours = sharpe_interval(returns, 365, samples=1500)
    assert ours == pytest.approx(tuple(theirs.ravel()), abs=0.12)


def _normal(correlation: np.ndarray, periods: int, seed: int) -> np.ndarray:
    root = np.linalg.cholesky(correlation + 1e-10 * np.eye(len(correlation)))
    return np.random.default_rng(seed).standard_normal((periods, len(correlation))) @ root.T


def test_independent_trials_are_as_many_as_they_are() -> None:
    assert effective_trials(_normal(np.eye(20), 3000, 1)) == pytest.approx(20, rel=0.15)


def test_equal_trials_are_one_and_pairs_of_equals_are_half_as_many() -> None:
    draws = _normal(np.eye(12), 3000, 2)
    assert effective_trials(np.repeat(draws[:, :1], 30, axis=1)) == pytest.approx(1.0, abs=0.06)
    assert effective_trials(np.column_stack([draws, draws * 2.0])) == pytest.approx(effective_trials(draws), rel=0.15)


def test_trials_that_are_alike_are_fewer_the_more_alike_they_are() -> None:
    like = [effective_trials(_normal(np.full((30, 30), rho) + (1.0 - rho) * np.eye(30), 3000, 3)) for rho in (0.0, 0.5, 0.9, 0.99)]
    assert like == sorted(like, reverse=True)
    assert 1.0 <= like[-1] < 2.0


def test_an_account_that_never_moved_is_no_try() -> None:
    draws = _normal(np.eye(3), 500, 4)
    assert effective_trials(np.column_stack([draws, np.zeros((500, 5))])) == pytest.approx(effective_trials(draws))
    assert effective_trials(np.zeros((500, 5))) == effective_trials(np.zeros((0, 5))) == 1.0


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.99])
def test_the_best_of_worthless_trials_that_are_alike_passes_in_at_most_one_case_of_sixteen(rho: float) -> None:
    """At the level of 5 %, whatever the correlation: neither are neighbours counted in full, nor is their likeness counted twice."""
    count, periods, markets = 40, 500, 1000
    correlation = np.full((count, count), rho) + (1.0 - rho) * np.eye(count)
    worth = effective_trials(_normal(correlation, 4000, 5))
    ratios = _normal(correlation, markets, 6) / math.sqrt(periods)
    passed = 0
    for own in ratios:
        moments = SharpeMoments(sharpe=float(own.max()), skew=0.0, kurtosis=3.0, periods=periods)
        passed += deflated_sharpe(moments, count, float(own.var(ddof=1)), effective=worth) >= 0.95
    assert passed / markets < 0.0625 + 0.015


def test_without_a_likeness_the_deflation_is_what_it_was() -> None:
    moments = SharpeMoments(sharpe=0.08, skew=-0.2, kurtosis=5.0, periods=900)
    assert deflated_sharpe(moments, 12, 0.001) == probabilistic_sharpe(moments, expected_best_sharpe(12, 0.001))
