"""What trades cost, learned from fills."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.strategies.learning.cost_estimate import CostEstimate, CostRule, paid_beyond

HOUR = Timeframe.parse("1h")
RULE = CostRule(prior=5.0, keep=0.5 ** (1 / 25), age=0.5 ** (1 / 720), least=0.25, most=8.0)


def learned(fills: list[float], rule: CostRule = RULE) -> float:
    estimate = CostEstimate()
    for seen in fills:
        estimate = estimate.learn(seen, rule)
    return estimate.multiple(rule)


def test_without_fills_costs_are_what_is_set() -> None:
    assert learned([]) == 1.0


@given(st.lists(st.floats(-1e9, 1e9), max_size=80))
def test_whatever_fills_cost_the_estimate_stays_in_its_bounds(fills: list[float]) -> None:
    assert RULE.least <= learned(fills) <= RULE.most


@given(st.floats(0.3, 7.5), st.integers(1, 200))
def test_steady_fills_move_the_estimate_towards_them_and_never_beyond(cost: float, count: int) -> None:
    few, more = learned([cost] * count), learned([cost] * (count + 1))
    assert min(1.0, cost) - 1e-9 <= few <= max(1.0, cost) + 1e-9
    assert abs(more - cost) <= abs(few - cost) + 1e-9


def test_fills_that_scatter_move_it_less_than_steady_ones() -> None:
    assert 1.0 < learned([4.0 + 4.0, 4.0 - 4.0] * 5) < learned([4.0] * 10)


def test_old_fills_are_forgotten() -> None:
    assert learned([4.0] * 50 + [1.0] * 100) == pytest.approx(1.0, abs=0.2)


def test_an_account_that_trades_no_more_comes_back_to_what_is_set() -> None:
    estimate = CostEstimate()
    for _ in range(50):
        estimate = estimate.learn(6.0, RULE)
    high = estimate.multiple(RULE)
    for _ in range(24 * 120):
        estimate = estimate.forget(RULE)
    assert high > 4.0
    assert estimate.multiple(RULE) < 0.5 * high


def test_what_an_order_cost_counts_price_and_fee_on_both_sides() -> None:
    assert paid_beyond(2.0, 101.0, 0.4, 100.0) == pytest.approx(0.012)
    assert paid_beyond(-2.0, 99.0, 0.4, 100.0) == pytest.approx(0.012)
    assert paid_beyond(2.0, 99.9, 0.0, 100.0) == pytest.approx(-0.001)


def test_nothing_is_learned_unless_it_is_asked_for() -> None:
    assert CostRule.of(LearningSettings(), HOUR) is None
    assert CostRule.of(LearningSettings(costs=True, freeze=True), HOUR) is None
    assert CostRule.of(LearningSettings(costs=True), HOUR) == RULE
