"""The state machine of an account: limits and facts of a bar in, active, reducing or halted out. Pure; times are UTC epoch seconds.

States: active -> reducing -> halted. A drawdown is counted from the highest equity and ends by hand, or by rule after a time; a daily loss
from the last close of the UTC day before, and ends with the day; a losing streak ends after a time; an old model, when a newer one serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.risk import RiskState, update
from forwardtrader.strategies.trading_state.limits import Limit, OnBreach, TradingLimits, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What is known of an account at the close of a bar.

    Attributes:
        at: the bar's open time.
        equity: in quote units.
        moved: quote units paid in since the bar before, negative for what was taken out.
        results: of the trades that were closed since the bar before, in order.
        model_age: seconds since the oldest model in force was trained; None where no model is asked.
    """

    at: float
    equity: float
    moved: float = 0.0
    results: tuple[float, ...] = ()
    model_age: float | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """Measures of the limits between two bars; plain numbers, so that they survive a restart.

    Attributes:
        losses: drawdown and daily loss; None before the first bar.
        streak: losing trades in a row.
        streak_until: end of the pause after too many of them; 0 where there is none.
        is_model_old: whether the model in force is older than the limit.
    """

    losses: RiskState | None = None
    streak: int = 0
    streak_until: float = 0.0
    is_model_old: bool = False

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> AccountState:
        """Read what `as_dict` wrote.

        Raises:
            InvalidSetting: a field is missing or unknown.
        """
        if set(saved) != {field.name for field in fields(cls)}:
            raise InvalidSetting(f"saved risk state holds {sorted(saved)}; delete the session's state or resume it with its own version")
        losses = saved["losses"]
        return cls(**{**saved, "losses": None if losses is None else RiskState.restore(losses)})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def step(state: AccountState, facts: AccountFacts, limits: TradingLimits) -> AccountState:
    """The state after a bar."""
    before = state.losses
    losses = (
        RiskState.start(facts.equity, facts.at) if before is None else update(before, facts.equity, facts.at, limits.losses, facts.moved)
    )
    streak, until = _streak(state, facts, limits)
    return AccountState(losses, streak, until, facts.model_age is not None and facts.model_age > limits.model_seconds)


def rearmed(state: AccountState) -> AccountState:
    """The state after a person's order to trade again: losses and streak are counted anew from here."""
    losses = state.losses
    if losses is not None:
        losses = replace(losses, peak=losses.last, day_open=losses.last, halted_until=0.0, locked=False)
    return replace(state, losses=losses, streak=0, streak_until=0.0)


def breaches(state: AccountState, limits: TradingLimits) -> dict[Limit, OnBreach]:
    """The limits that are reached, the gravest first, and what each of them does."""
    losses = state.losses
    reached = {
        Limit.DRAWDOWN: losses is not None and bool(losses.halted_until),
        Limit.DAILY_LOSS: losses is not None and losses.locked,
        Limit.LOSING_STREAK: bool(state.streak_until),
        Limit.MODEL_AGE: state.is_model_old,
    }
    found = [(limit, limits.on_breach[limit]) for limit, is_reached in reached.items() if is_reached]
    return dict(sorted(found, key=lambda each: list(OnBreach).index(each[1]), reverse=True))


def trading_state(found: Mapping[Limit, OnBreach]) -> TradingState:
    """The gravest state that the limits reached ask for."""
    return max((action.state for action in found.values()), default=TradingState.ACTIVE)


def _streak(state: AccountState, facts: AccountFacts, limits: TradingLimits) -> tuple[int, float]:
    """Losing trades in a row, and the end of the pause. Trades that end during the pause are not counted: nothing was begun in it."""
    streak, until = state.streak, state.streak_until
    if until:
        return (streak, until) if facts.at < until else (0, 0.0)
    for result in facts.results:
        streak = streak + 1 if result < 0.0 else 0
    return streak, facts.at + limits.streak_seconds if streak >= limits.losing_streak else 0.0
