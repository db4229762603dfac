"""No p-value is zero, neither as a number nor as it is shown."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forwardtrader.core import p_values
from forwardtrader.models.folds.champion import contest
from forwardtrader.reports.pages import formats
from forwardtrader.reports.statistics.random_entries import ExposurePath, compare
from forwardtrader.reports.statistics.selection.overfitting import backtest_overfitting
from forwardtrader.reports.statistics.selection.reality_check import superior_predictive_ability
from forwardtrader.reports.statistics.sharpe_tests import SharpeMoments, deflated_sharpe, probabilistic_sharpe
from forwardtrader.reports.statistics.significance import diebold_mariano, mean_test

DAYS = 96
SERIES = arrays(np.float64, DAYS, elements=st.floats(-1e6, 1e6))
RISING = np.linspace(0.9, 1.1, DAYS)


def path(net: np.ndarray) -> ExposurePath:
    held = np.where(np.arange(len(net)) % 7 < 3, 1.0, 0.0)
    index = pd.date_range("2022-01-01", periods=len(net), freq="D", tz="UTC")
    return ExposurePath(index, held[:, None], net[:, None], held * net, *np.zeros((2, len(net))), 0.01, *np.zeros((2, len(net), 1)))


@given(SERIES, SERIES, st.integers(1, 8))
@example(RISING, -1e6 * RISING, 1)
@example(-1e6 * RISING, RISING, 1)
@example(1e-300 * RISING, np.zeros(DAYS), 1)
@example(np.full(DAYS, 0.1), np.zeros(DAYS), 1)
@settings(max_examples=60, deadline=None)
def test_no_test_of_whatever_series_gives_a_p_value_of_zero(first: np.ndarray, second: np.ndarray, horizon: int) -> None:
    tests = [mean_test(first, horizon=horizon), diebold_mariano(first, second, horizon=horizon), mean_test(-first)]
    spa = superior_predictive_ability(second, np.stack([first, second + np.abs(first)], axis=1), samples=20)
    contests = [contest(first, second, horizon=1, promotion=rule, level=0.05).p for rule in ("if better", "unless worse")]
    luck = [backtest_overfitting(np.stack([first, second], axis=1), blocks=4).pbo, compare(path(first / 1e7), samples=20).p]
    found = [*(p for test in tests for p in (test.p, test.p_above)), spa.p, spa.lower, spa.upper, *contests, *luck]
    for p in found:
        assert p is None or math.isnan(p) or 0.0 < p <= 1.0
        assert float(f"{p_values.shown(p)}".strip("<") if p is not None and not math.isnan(p) else 1) > 0.0


@given(st.floats(-1e3, 1e3), st.floats(-100, 100), st.floats(1, 1e4), st.integers(2, 10**6), st.integers(1, 10**4))
@example(1e3, 0.0, 3.0, 10**6, 1)
@example(-1e3, 0.0, 3.0, 10**6, 1)
def test_no_sharpe_ratio_is_certainly_above_zero_or_certainly_below(sharpe: float, skew: float, tails: float, n: int, trials: int) -> None:
    moments = SharpeMoments(sharpe=sharpe, skew=skew, kurtosis=tails, periods=n)
    for chance in (probabilistic_sharpe(moments), deflated_sharpe(moments, trials, 0.01)):
        assert 0.0 < chance < 1.0


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_p_value_of_a_resampled_test_counts_the_observed_statistic(exceedances: int, samples: int) -> None:
    p = p_values.resampled(min(exceedances, samples), samples)
    assert 1.0 / (samples + 1.0) <= p <= 1.0


@pytest.mark.parametrize("p", [5e-324, 1e-300, 1e-17, 4.9e-4, 9.99e-4])
def test_what_would_round_to_zero_is_shown_as_a_bound(p: float) -> None:
    assert p_values.shown(p) == "<0.001"
    assert formats.p_value(p) == "< 0.001"
    assert formats.probability(p) == "< 0.1 %"
    assert formats.probability(1.0 - p) == "> 99.9 %"


def test_ordinary_p_values_are_shown_with_three_digits() -> None:
    assert [p_values.shown(p) for p in (None, math.nan, 0.001, 0.0434, 1.0)] == ["-", "-", "0.001", "0.043", "1.000"]
    assert [formats.probability(p) for p in (None, math.nan, 0.001, 0.5, 0.9994)] == ["–", "–", "0.1 %", "50.0 %", "> 99.9 %"]
    assert [formats.probability(p, 0) for p in (0.004, 0.31, 0.996)] == ["< 1 %", "31 %", "> 99 %"]


def test_the_two_tails_of_a_far_statistic_are_alike() -> None:
    series = np.random.default_rng(0).normal(1.0, 0.1, 400)
    up, down = mean_test(series), mean_test(-series)
    assert up.p == down.p < 1e-100
    assert (up.p_above, down.p_above) == (pytest.approx(up.p / 2), 1.0)
