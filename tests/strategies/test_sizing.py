"""How much: no more than volatility, the stop and the exposure limit allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.sizing import SizeRule, exposure_cap, stop_distance, stop_price, units

RULE = SizeRule(
    max_exposure=1.0,
    target_volatility=0.3,
    yearly_root=365**0.5,
    risk_tolerance=0.02,
    stop_scales=2.0,
    round_trip=0.0025,
    entry_cost=0.0012,
    cash_reserve=0.01,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.02 / (0.06 + 0.0025)),  # the stop binds
        ({"risk_tolerance": 0.5}, 0.3 / (0.03 * 365**0.5)),  # volatility binds
        ({"risk_tolerance": 0.5, "target_volatility": 9.0}, 1.0),  # the exposure limit binds
    ],
)
def test_the_tightest_limit_binds(change: dict[str, float], expected: float) -> None:
    assert exposure_cap(0.03, replace(RULE, **change)) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [0.0, float("nan"), -1.0])
def test_an_unknown_scale_allows_nothing(scale: float) -> None:
    assert exposure_cap(scale, RULE) == 0.0


@given(st.floats(1e-3, 0.5), st.floats(1e-3, 0.2), st.floats(0.2, 10), st.floats(10, 1e6), st.floats(1, 1e6), st.floats(0.95, 1.05))
def test_no_more_than_the_tolerated_share_is_lost_at_the_stop(
    scale: float, tolerance: float, stop_scales: float, equity: float, close: float, gap: float
) -> None:
    """Sized at a close, filled at an open that gapped, and stopped: the loss from the fill on, cost of both fills included."""
    rule = replace(RULE, risk_tolerance=tolerance, stop_scales=stop_scales)
    cap = exposure_cap(scale, rule)
    size, fill = cap * equity / close, close * gap
    stop = stop_price(1.0, fill, size, stop_distance(scale, rule), tolerance * equity, rule)
    loss = size * (fill - stop) + rule.round_trip * size * fill
    assert 0 < stop <= fill
    assert loss <= tolerance * equity * 1.000001


def test_a_short_position_has_its_stop_above() -> None:
    assert stop_price(-1.0, 100.0, 1.0, 0.05, 1e9, RULE) == 105.0
    assert stop_price(1.0, 100.0, 1.0, 0.05, 1e9, RULE) == 95.0


def test_a_buy_is_cut_to_what_the_cash_pays_for() -> None:
    got = units(10_000, 100.0, 1_000, RULE)
    assert got * 100 * (1 + RULE.entry_cost) == pytest.approx(990)
    assert units(500, 100.0, 1_000, RULE) == 5.0
    assert units(-500, 100.0, 0.0, RULE) == -5.0
    assert units(500, 100.0, -3.0, RULE) == 0.0
