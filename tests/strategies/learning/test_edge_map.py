"""What forecasts come to, learned by their size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.learning.edge_map import EdgeMap, EdgeMapRule, isotonic

RULE = EdgeMapRule(prior=2.0, keep=0.999, least=0.1, most=1.5)
Outcomes = list[tuple[float, float]]
PAIRS = st.lists(st.tuples(st.floats(-3, 3), st.floats(-50, 50)), max_size=60)


def taught(pairs: Outcomes, rule: EdgeMapRule = RULE) -> EdgeMap:
    learned = EdgeMap()
    for promised, came in pairs:
        learned.forget(rule)
        learned.learn(promised, 1.0, came)
    return learned


def test_without_outcomes_forecasts_are_believed_as_they_are() -> None:
    learned = EdgeMap()
    for location in (-0.7, -0.01, 0.02, 0.4, 9.0):
        assert learned.expected(location, 1.0, RULE) == pytest.approx(location)


@given(PAIRS, st.floats(1e-6, 5), st.floats(1e-6, 5))
def test_whatever_forecasts_came_to_the_map_is_monotone_odd_and_bounded(pairs: Outcomes, one: float, other: float) -> None:
    learned, (low, high) = taught(pairs), sorted((one, other))
    small, large = (learned.expected(x, 1.0, RULE) for x in (low, high))
    assert small <= large * (1 + 1e-12)
    assert RULE.least * high * (1 - 1e-12) <= large <= RULE.most * high * (1 + 1e-12)
    assert learned.expected(-high, 1.0, RULE) == -large


def test_no_forecast_stays_none_and_no_opinion_none() -> None:
    learned = taught([(0.1, 3.0)])
    assert np.isnan(learned.expected(float("nan"), 1.0, RULE))
    assert learned.expected(0.0, 1.0, RULE) == 0.0
    assert learned.expected(0.3, float("nan"), RULE) == 0.3


def test_a_dead_signal_is_believed_less_and_one_that_pays_more_is_believed_more() -> None:
    draw = np.random.default_rng(1)
    promised = draw.normal(0, 0.1, 2000)
    noise = draw.normal(0, 1, 2000)
    dead, doubled = (taught([*zip(promised.tolist(), came.tolist(), strict=True)]) for came in (noise, 2 * promised + noise))
    assert dead.expected(0.15, 1.0, RULE) < 0.6 * 0.15
    assert doubled.expected(0.15, 1.0, RULE) > 0.15


def test_only_large_forecasts_that_stopped_paying_lose_their_weight() -> None:
    pairs = [(0.15, 0.15), (0.5, 0.16)] * 500
    learned = taught(pairs)
    assert learned.expected(0.15, 1.0, RULE) == pytest.approx(0.15, rel=0.2)
    assert learned.expected(0.5, 1.0, RULE) < 0.5 * 0.5


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 9)), min_size=1, max_size=9))
def test_isotonic_values_rise_and_keep_the_weighted_mean_of_values_above_zero(pairs: list[tuple[float, float]]) -> None:
    values, weights = [abs(value) for value, _ in pairs], [weight for _, weight in pairs]
    risen = isotonic(values, weights)
    assert list(risen) == sorted(risen)
    assert np.dot(risen, weights) == pytest.approx(np.dot(values, weights))
