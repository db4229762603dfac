"""The state machine: active, reducing, halted; the same after a restart at any bar; money that is moved is neither gain nor loss."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import RiskSettings
from forwardtrader.strategies.trading_state.limits import Limit, OnBreach, TradingLimits, TradingState
from forwardtrader.strategies.trading_state.machine import AccountFacts, AccountState, breaches, rearmed, step, trading_state

HOUR, DAY = 3600.0, 86400.0
ALL: dict[str, Any] = {
    "max_drawdown": 0.2, "drawdown_rearm": "2d", "max_daily_loss": 0.05, "max_losing_streak": 2, "losing_streak_rearm": "6h",
    "max_model_age": "40d",
}  # fmt: skip
FACTS = st.lists(
    st.tuples(
        st.floats(50.0, 150.0), st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=2), st.sampled_from([None, DAY, 50 * DAY])
    ),
    max_size=80,
)  # fmt: skip


def limits(**settings: Any) -> TradingLimits:
    found = TradingLimits.of(RiskSettings(**settings))
    assert found is not None
    return found


def facts(hour: int, equity: float, results: tuple[float, ...] = (), age: float | None = None, moved: float = 0.0) -> AccountFacts:
    return AccountFacts(at=hour * HOUR, equity=equity, results=results, model_age=age, moved=moved)


def walk(path: list[AccountFacts], chosen: TradingLimits, state: AccountState | None = None) -> list[AccountState]:
    states, state = [], state or AccountState()
    for each in path:
        state = step(state, each, chosen)
        states.append(state)
    return states


def named(states: list[AccountState], chosen: TradingLimits) -> list[str]:
    return [trading_state(breaches(state, chosen)).name.lower() for state in states]


def test_a_drawdown_halts_until_somebody_says_otherwise() -> None:
    chosen = limits(max_drawdown=0.2)
    states = walk([facts(0, 100), facts(1, 79), facts(10_000, 120)], chosen)
    assert named(states, chosen) == ["active", "halted", "halted"]
    again = rearmed(states[-1])
    assert named([again], chosen) == ["active"]
    assert named(walk([facts(10_001, 97), facts(10_002, 95)], chosen, again), chosen) == ["active", "halted"]  # counted anew from 120


def test_a_drawdown_ends_by_rule_where_the_settings_say_so() -> None:
    chosen = limits(max_drawdown=0.2, drawdown_rearm="2d", on_drawdown="reduce")
    states = walk([facts(0, 100), facts(1, 79), facts(48, 79), facts(49, 79)], chosen)
    assert named(states, chosen) == ["active", "reducing", "reducing", "active"]


def test_a_daily_loss_ends_with_the_utc_day() -> None:
    chosen = limits(max_daily_loss=0.05)
    states = walk([facts(0, 100), facts(5, 94), facts(23, 99), facts(24, 99)], chosen)
    assert named(states, chosen) == ["active", "reducing", "reducing", "active"]


def test_losing_trades_in_a_row_pause_for_a_time() -> None:
    chosen = limits(max_losing_streak=2, losing_streak_rearm="6h")
    path = [facts(0, 100, (-1.0,)), facts(1, 100, (1.0, -1.0)), facts(2, 100, (-1.0,)), facts(7, 100, (-9.0,)), facts(8, 100)]
    states = walk(path, chosen)
    assert named(states, chosen) == ["active", "active", "reducing", "reducing", "active"]
    assert states[-1].streak == 0  # what ended during the pause had begun before it


def test_a_model_expires_and_a_new_one_ends_that() -> None:
    chosen = limits(max_model_age="40d")
    states = walk([facts(0, 100, age=40 * DAY), facts(1, 100, age=41 * DAY), facts(2, 100, age=0.0), facts(3, 100)], chosen)
    assert named(states, chosen) == ["active", "reducing", "active", "active"]


def test_the_gravest_of_several_limits_holds() -> None:
    chosen = limits(max_drawdown=0.05, max_daily_loss=0.05)
    found = breaches(walk([facts(0, 100), facts(1, 90)], chosen)[-1], chosen)
    assert list(found.items()) == [(Limit.DRAWDOWN, OnBreach.FLATTEN), (Limit.DAILY_LOSS, OnBreach.REDUCE)]
    assert trading_state(found) is TradingState.HALTED


@pytest.mark.parametrize("moved", [-5_000.0, -8_500.0, 40_000.0])
def test_money_that_is_moved_is_neither_gain_nor_loss(moved: float) -> None:
    chosen = limits(max_drawdown=0.2, max_daily_loss=0.2)
    after = 9_000.0 + moved
    states = walk([facts(0, 10_000), facts(1, 9_000), facts(2, after, moved=moved)], chosen)
    assert named(states, chosen) == ["active", "active", "active"]
    assert named(walk([facts(3, after * 0.90), facts(4, after * 0.88)], chosen, states[-1]), chosen) == ["active", "halted"]


def test_an_account_that_was_emptied_is_counted_anew() -> None:
    chosen = limits(max_drawdown=0.2, max_daily_loss=0.2)
    states = walk(
        [facts(0, 10_000), facts(1, 0.0, moved=-10_000.0), facts(2, 500.0, moved=500.0), facts(3, 450.0), facts(4, 400.0)], chosen
    )
    assert named(states, chosen) == ["active", "active", "active", "active", "halted"]


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="saved risk state"):
        AccountState.restore({"streak": 1})


@given(FACTS)
def test_a_restart_at_any_bar_gives_the_same_states(path: list[tuple[float, list[float], float | None]]) -> None:
    chosen = limits(**ALL)
    state = restarted = AccountState()
    for hour, (equity, results, age) in enumerate(path):
        fact = facts(hour, equity, tuple(results), age)
        state, restarted = step(state, fact, chosen), step(restarted, fact, chosen)
        restarted = AccountState.restore(json.loads(json.dumps(restarted.as_dict(), allow_nan=False)))
        assert restarted == state


@given(FACTS, st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_a_tighter_limit_is_reached_no_later(path: list[tuple[float, list[float], float | None]], one: float, other: float) -> None:
    def first_reached(limit: float) -> int:
        chosen = limits(max_drawdown=limit, max_daily_loss=limit)
        states = named(walk([facts(hour, equity) for hour, (equity, _, _) in enumerate(path)], chosen), chosen)
        return next((n for n, state in enumerate(states) if state != "active"), len(states))

    assert first_reached(min(one, other)) <= first_reached(max(one, other))


@given(FACTS)
def test_a_halt_by_hand_never_ends_by_itself(path: list[tuple[float, list[float], float | None]]) -> None:
    chosen = limits(max_drawdown=0.1)
    states = named(walk([facts(hour * 100, equity) for hour, (equity, _, _) in enumerate(path)], chosen), chosen)
    assert states == sorted(states)  # "active" comes before "halted"


@given(FACTS)
def test_the_size_of_the_account_changes_nothing(path: list[tuple[float, list[float], float | None]]) -> None:
    chosen = limits(**ALL)
    small = [facts(hour, equity) for hour, (equity, _, _) in enumerate(path)]
    large = [AccountFacts(at=f.at, equity=f.equity * 1024.0) for f in small]  # a power of two: no rounding
    assert named(walk(small, chosen), chosen) == named(walk(large, chosen), chosen)


def test_spans_are_read_in_seconds() -> None:
    chosen = limits(max_losing_streak=1, losing_streak_rearm=timedelta(hours=3))
    assert chosen.streak_seconds == 3 * HOUR
