"""Alerts about the account's limits: reached, worse, and open again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.trading_state.limits import TradingState

_KINDS: Final = {
    TradingState.ACTIVE: ("account_limits_open_again", "info"),
    TradingState.REDUCING: ("account_limits_reduce", "warning"),
    TradingState.HALTED: ("account_limits_halt", "error"),
}
_HALT: Final = "limits of the account: "


class TradingStateAlerts:
    """Alerts when another state or another limit holds. A halt is the session's state and exit code too, until it ends.

    Args:
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`.
    """

    def __init__(self, notify: Callable[..., None], progress: SessionProgress) -> None:
        self._notify = notify
        self._progress = progress
        self._known: tuple[TradingState, str] = (TradingState.ACTIVE, "")
        self._before = SessionState.RUNNING

    def check(self, guard: TradingGuard | None) -> None:
        """Compare with the bar before. Called after every new bar; at the first of a process it says what still holds."""
        if guard is None or (guard.trading_state, guard.reason) == self._known:
            return
        self._known = state, reason = guard.trading_state, guard.reason
        kind, level = _KINDS[state]
        actions = {str(limit): str(action) for limit, action in guard.found.items()}
        self._notify(kind, level, **({"reason": f"{_HALT}{reason}"} if reason else {}), **({"limits": actions} if actions else {}))
        self._show(state, f"{_HALT}{reason}; --resume lifts it")

    def _show(self, state: TradingState, reason: str) -> None:
        """A halt of the account itself is worth more than one by its limits."""
        progress = self._progress
        is_ours = progress.state is SessionState.HALTED and progress.reason.startswith(_HALT)
        if state is TradingState.HALTED and (is_ours or progress.state is not SessionState.HALTED):
            self._before = self._before if is_ours else progress.state
            progress.state, progress.reason = SessionState.HALTED, reason
        elif state is not TradingState.HALTED and is_ours:
            progress.state, progress.reason = self._before, ""
