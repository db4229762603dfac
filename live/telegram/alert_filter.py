"""Which alerts are sent to the chat: by kind and by level, as the settings say. Errors always are."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from forwardtrader.core.settings import AlertKind, LiveSettings

_LEVELS: Final = ("info", "warning", "error")
FILLED: Final = "order_filled"
STOP_FILLED: Final = "stop_filled"
SUMMARY: Final = "daily_summary"
# The first pattern that the whole name of an alert matches says its kind.
_PATTERNS: Final[tuple[tuple[AlertKind, re.Pattern[str]], ...]] = (
    ("fills", re.compile(FILLED)),
    ("stops", re.compile(rf"{STOP_FILLED}|stop_stands_still|position_(un)?protected")),
    ("halts", re.compile(r"\w+_halted|account_limits_\w+|drawdown_halt|daily_loss_lock|risk_limits_open_again|iteration_failed")),
    ("halts", re.compile(r"position_(liquidation|deleveraging)|ended_by_force|session_died|lease_lost")),
    (
        "data",
        re.compile(r"(no_closed_bar|loop_stalled|clock_off)(_no_more)?|(venues|bar|factor|forecast|mirror|perpetual)_\w+|market_ended"),
    ),
    ("models", re.compile(r"model_\w+|(re)?training_failed|drift|order_refused")),
    ("orders", re.compile(r"orders_refused|order_unresolved|foreign_order|balance_changed")),
    ("commands", re.compile(r"command_\w+|\w+_obeyed")),
    ("summary", re.compile(SUMMARY)),
)


def kind_of(alert: str) -> AlertKind:
    """The kind of an alert, by its name."""
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(alert)), "other")


class AlertFilter:
    """Lets alerts pass.

    Args:
        level: the least that passes.
        kinds: those that pass; an error does whatever its kind.
    """

    def __init__(self, level: str = "info", kinds: Collection[AlertKind] | None = None) -> None:
        self._least = _LEVELS.index(level)
        self._kinds = kinds

    @classmethod
    def of(cls, live: LiveSettings) -> AlertFilter:
        return cls(live.telegram_level, live.telegram_kinds)

    def passes(self, alert: str, level: str) -> bool:
        """Whether an alert of that name and level is sent; the summary of a day has no level to be measured by."""
        kind = kind_of(alert)
        if level not in _LEVELS or level == "error":
            return True
        is_wanted = self._kinds is None or kind in self._kinds
        return is_wanted and (kind == "summary" or _LEVELS.index(level) >= self._least)
