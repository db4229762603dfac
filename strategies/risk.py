"""Account-wide risk limits: a halt after a drawdown, which re-arms by itself, and a lock after a bad day.

The state is plain numbers, so that it survives a restart. Times are UTC epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum
from typing import Any

from forwardtrader.core.errors import InvalidSetting

DAY_SECONDS = 86400


class Gate(IntEnum):
    """Whether new risk is allowed."""

    OPEN = 0
    LOCKED = 1  # exposure may only shrink
    HALTED = 2  # exposure goes to zero


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Losses are shares of equity; `halt_seconds` is how long a drawdown halt lasts."""

    max_drawdown: float
    max_daily_loss: float
    halt_seconds: float


@dataclass(frozen=True, slots=True)
class RiskState:
    """State of the risk limits.

    Attributes:
        peak: highest equity since the start or since the last halt ended.
        day: UTC day number of `day_open`.
        day_open: equity at the close of the last bar before this day (the first equity seen, on the first day).
        last: equity at the newest bar.
        halted_until: end of the halt; 0 where there is none.
        locked: whether the day's loss limit was reached.
    """

    peak: float
    day: int
    day_open: float
    last: float
    halted_until: float = 0.0
    locked: bool = False

    @classmethod
    def start(cls, equity: float, at: float) -> RiskState:
        return cls(peak=equity, day=int(at // DAY_SECONDS), day_open=equity, last=equity)

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> RiskState:
        """Read what `as_dict` wrote.

        Raises:
            InvalidSetting: a field is missing or unknown.
        """
        if set(saved) != {field.name for field in fields(cls)}:
            raise InvalidSetting(f"saved risk state holds {sorted(saved)}; delete the session's state or resume it with its own version")
        return cls(**saved)

    def as_dict(self) -> dict[str, float | int | bool]:
        return asdict(self)

    @property
    def gate(self) -> Gate:
        if self.halted_until:
            return Gate.HALTED
        return Gate.LOCKED if self.locked else Gate.OPEN


def update(state: RiskState, equity: float, at: float, limits: RiskLimits, moved: float = 0.0) -> RiskState:
    """The state after the bar that closed with `equity`.

    Args:
        at: the bar's open time.
        moved: quote units paid in since the bar before, negative for what was taken out: neither is a gain or a loss.
    """
    if moved:
        state = _moved(state, equity, moved)
    day, day_open, locked, peak = int(at // DAY_SECONDS), state.day_open, state.locked, state.peak
    if day != state.day:
        day_open, locked = state.last, False
    if state.halted_until:
        if at < state.halted_until:
            return RiskState(peak, day, day_open, equity, state.halted_until, locked)
        peak, day_open, locked = equity, equity, False  # the halt is over: counted anew, or it would begin again at once
    peak = max(peak, equity)
    halted = peak > 0.0 and equity <= peak * (1.0 - limits.max_drawdown)
    locked = locked or (day_open > 0.0 and equity <= day_open * (1.0 - limits.max_daily_loss))
    return RiskState(peak, day, day_open, equity, at + limits.halt_seconds if halted else 0.0, locked)


def _moved(state: RiskState, equity: float, moved: float) -> RiskState:
    """The state in units of an account of another size: all that is compared with its equity grows or shrinks as the account did.

    Losses stay the same shares of it; an account that had nothing, or was emptied, is counted anew.
    """
    after = state.last + moved
    if state.last <= 0.0 or after <= 0.0:
        return replace(state, peak=equity, day_open=equity, last=equity)
    share = after / state.last
    return replace(state, peak=state.peak * share, day_open=state.day_open * share, last=after)
