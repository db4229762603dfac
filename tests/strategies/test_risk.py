"""The brakes: a halt that re-arms by itself, a lock that ends with the day, both across a restart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.risk import DAY_SECONDS, Gate, RiskLimits, RiskState, update

LIMITS = RiskLimits(max_drawdown=0.2, max_daily_loss=0.05, halt_seconds=3 * DAY_SECONDS)
HOUR = 3600.0


def walk(state: RiskState, path: list[tuple[float, float]], limits: RiskLimits = LIMITS) -> list[RiskState]:
    states = []
    for at, equity in path:
        state = update(state, equity, at, limits)
        states.append(state)
    return states


def test_a_drawdown_halts_trading_and_the_halt_ends_by_itself() -> None:
    start = RiskState.start(100.0, 0.0)
    path = [(HOUR, 110.0), (2 * DAY_SECONDS, 95.0), (4 * DAY_SECONDS, 88.0), (6 * DAY_SECONDS, 88.0), (7 * DAY_SECONDS, 88.0)]
    states = walk(start, path)
    assert [s.gate for s in states] == [Gate.OPEN, Gate.LOCKED, Gate.HALTED, Gate.HALTED, Gate.OPEN]
    assert states[-1].peak == 88.0  # counted anew, or the next bar would halt again


def test_a_bad_day_locks_until_the_next_utc_day() -> None:
    states = walk(RiskState.start(100.0, 0.0), [(HOUR, 94.0), (5 * HOUR, 99.0), (23 * HOUR, 99.0), (24 * HOUR, 98.5)])
    assert [s.gate for s in states] == [Gate.LOCKED, Gate.LOCKED, Gate.LOCKED, Gate.OPEN]


def test_the_days_loss_counts_from_the_last_close_of_the_day_before() -> None:
    daily = walk(RiskState.start(100.0, 0.0), [(DAY_SECONDS, 94.9), (2 * DAY_SECONDS, 94.0)])
    assert [s.gate for s in daily] == [Gate.LOCKED, Gate.OPEN]


def test_the_state_survives_a_restart_in_the_middle_of_a_halt() -> None:
    halted = walk(RiskState.start(100.0, 0.0), [(HOUR, 79.0)])[0]
    again = RiskState.restore(json.loads(json.dumps(halted.as_dict())))
    assert again == halted
    assert update(again, 79.0, 2 * HOUR, LIMITS).gate is Gate.HALTED


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="saved risk state"):
        RiskState.restore({"peak": 1.0})


@given(st.lists(st.floats(1.0, 200.0), min_size=1, max_size=60))
def test_equity_below_the_drawdown_limit_is_never_traded_on(equities: list[float]) -> None:
    state = RiskState.start(equities[0], 0.0)
    for hour, equity in enumerate(equities[1:], start=1):
        state = update(state, equity, hour * HOUR, LIMITS)
        if equity <= state.peak * (1 - LIMITS.max_drawdown):
            assert state.gate is Gate.HALTED
