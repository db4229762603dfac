"""Settings turned into rules, and what is remembered about a position."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.strategies.decision import COOLING, HALTED, DecisionParams, PositionState, bars_per_year, target_exposure
from forwardtrader.strategies.risk import Gate
from forwardtrader.strategies.signals import ENTER, Signal
from tests.strategies.market import BTC, HOUR, PERP, knobs

DAY = Timeframe.parse("1d")
SPY = replace(BTC, symbol="SPY", periods_per_year=252)


@pytest.mark.parametrize(
    ("market", "timeframe", "bars"),
    [(BTC, HOUR, 8760), (BTC, DAY, 365), (SPY, DAY, 252), (SPY, HOUR, 1638)],
)
def test_a_year_has_as_many_bars_as_the_market_is_open(market, timeframe, bars) -> None:  # type: ignore[no-untyped-def]
    assert bars_per_year(market, timeframe) == pytest.approx(bars)


def test_the_horizon_changes_neither_the_stop_nor_the_volatility_limit() -> None:
    """A scale that grows with the root of the horizon means the same market."""
    one, day = (DecisionParams.of(knobs(), BTC, HOUR, horizon) for horizon in (1, 24))
    assert one.size.stop_scales * 0.005 == pytest.approx(day.size.stop_scales * 0.005 * 24**0.5)
    assert 0.005 * one.size.yearly_root == pytest.approx(0.005 * 24**0.5 * day.size.yearly_root)


def test_the_premium_counts_only_beyond_the_forecast() -> None:
    assert DecisionParams.of(knobs(holding="0d"), BTC, HOUR, 24).edge.premium == 0.0
    assert DecisionParams.of(knobs(holding="12h"), BTC, HOUR, 24).edge.share == 0.5
    edge = DecisionParams.of(knobs(holding="14d", premium=0.5), BTC, HOUR, 24).edge
    assert (edge.share, edge.span) == (1.0, 14.0)
    assert edge.premium == pytest.approx(13 * 0.5 / 365**0.5)


def test_limits_are_divided_among_the_symbols() -> None:
    each = knobs(rule="single")
    alone, shared = DecisionParams.of(each, BTC, HOUR, 24).size, DecisionParams.of(each, BTC, HOUR, 24, symbols=4).size
    for name in ("max_exposure", "target_volatility", "risk_tolerance"):
        assert getattr(shared, name) == getattr(alone, name) / 4


def test_shorts_need_both_the_market_and_the_setting() -> None:
    assert not DecisionParams.of(knobs(), PERP, HOUR, 24).edge.shorts
    assert not DecisionParams.of(knobs(allow_short=True), BTC, HOUR, 24).edge.shorts
    assert DecisionParams.of(knobs(allow_short=True), PERP, HOUR, 24).edge.shorts


def test_the_remembered_scale_goes_half_the_way_in_its_half_life() -> None:
    rules, state = DecisionParams.of(knobs(scale_memory="7d"), BTC, HOUR, 24), PositionState()
    assert state.steady_scale(0.02, rules) == 0.02
    for _ in range(168):
        last = state.steady_scale(0.04, rules)
    assert last**2 == pytest.approx((0.02**2 + 0.04**2) / 2)
    assert state.steady_scale(float("nan"), rules) != state.steady_scale(0.04, rules)  # an unknown scale is not remembered
    assert PositionState().steady_scale(0.03, DecisionParams.of(knobs(scale_memory="0d"), BTC, HOUR, 24)) == 0.03


def test_a_stop_is_tightened_and_never_loosened() -> None:
    rules, state = DecisionParams.of(knobs(), BTC, HOUR, 24), PositionState()
    stops = []
    for fill, distance in [(100.0, 0.06), (110.0, 0.06), (105.0, 0.2)]:
        state.fill, state.distance, state.budget = fill, distance, 1e9
        state.place_stop(1.0, rules)
        stops.append(state.stop)
    assert stops == pytest.approx([94.0, 103.4, 103.4])


@pytest.mark.parametrize(
    ("gate", "held", "resume_at", "expected"),
    [
        (Gate.OPEN, 0.0, 0.0, Signal(pytest.approx(0.32), ENTER)),
        (Gate.OPEN, 0.0, 200.0, None),
        (Gate.OPEN, 0.2, 200.0, Signal(0.0, COOLING)),
        (Gate.LOCKED, 0.0, 0.0, None),
        (Gate.LOCKED, 0.2, 0.0, None),
        (Gate.HALTED, 0.0, 0.0, None),
        (Gate.HALTED, 0.2, 0.0, Signal(0.0, HALTED)),
    ],
)
def test_the_brakes_stand_above_the_forecast(gate: Gate, held: float, resume_at: float, expected: Signal | None) -> None:
    state = PositionState(resume_at=resume_at)
    assert target_exposure(0.02, 0.03, held, 100.0, gate, state, DecisionParams.of(knobs(), BTC, HOUR, 24)) == expected


def test_a_locked_day_still_lets_exposure_shrink() -> None:
    signal = target_exposure(-0.02, 0.03, 0.3, 100.0, Gate.LOCKED, PositionState(), DecisionParams.of(knobs(), BTC, HOUR, 24))
    assert signal is not None and signal.exposure == 0.0


def test_what_is_remembered_survives_a_restart_and_another_shape_is_refused() -> None:
    state = PositionState(stop=94.0, distance=0.06, budget=200.0, resume_at=5.0, variance=0.0004)
    assert PositionState.restore(state.as_dict()) == state
    with pytest.raises(InvalidSetting, match="saved position state"):
        PositionState.restore({"stop": 1.0})
