"""How far prices move against what was promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.learning.volatility_ratio import VolatilityRatio, VolatilityRule

RULE = VolatilityRule(prior=48.0, keep=0.5 ** (1 / 336), least=0.5, most=2.0)


def learned(errors: list[float]) -> float:
    ratio = VolatilityRatio()
    for error in errors:
        ratio = ratio.learn(error, RULE)
    return ratio.multiple(RULE)


def test_without_outcomes_scales_are_what_was_forecast() -> None:
    assert learned([]) == 1.0


@given(st.lists(st.floats(-1e9, 1e9), max_size=200))
def test_whatever_prices_do_the_multiple_stays_in_its_bounds(errors: list[float]) -> None:
    assert RULE.least <= learned(errors) <= RULE.most


def test_moves_that_are_twice_what_was_promised_nearly_double_it() -> None:
    assert learned([2.0, -2.0] * 500) == pytest.approx(1.9, abs=0.1)
    assert learned([0.5, -0.5] * 500) == pytest.approx(0.6, abs=0.1)
