"""Shutdown and halt of a session: it ends after the bar in progress, once no order is on its way any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.reports.pages.session_status import SessionState

_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 20.0  # for answers of the venue; what is still open then is looked up by the next start


class StoppableRun(Protocol):
    """The bridge, as far as it is stopped."""

    is_stopping: bool

    def request_stop(self) -> None: ...


class SettlingBroker(Protocol):
    """A broker, paper or live, as far as a session's end waits for it."""

    halted: str

    @property
    def is_settled(self) -> bool:
        """Whether no order or cancel is on its way."""


class Shutdown:
    """Ends the run once a person, a limit or a signal asked for it and no order is on its way; also halts trading.

    Attributes:
        is_requested: whether the session is to end.
        before_stop: called once before the end is waited for; cancels resting orders where the settings ask for that.
    """

    def __init__(self, bridge: StoppableRun, broker: SettlingBroker, progress: SessionProgress, health: SessionHealth) -> None:
        self._bridge = bridge
        self._broker = broker
        self._progress = progress
        self._health = health
        self._until: float | None = None
        self.is_requested = False
        self.before_stop: Callable[[], object] = lambda: None

    def on_signal(self, number: int) -> None:
        """The first SIGINT or SIGTERM ends the session in good order, a second one after the turn in progress."""
        if self._progress.state is not SessionState.HALTED:  # the reason of a halt is worth more
            self._progress.reason = f"stopped by {signal.Signals(number).name}"
        if self.is_requested:
            self._bridge.request_stop()
        self.request_stop()

    def request_stop(self) -> None:
        """End as soon as no order is on its way."""
        self.is_requested = True

    def advance(self) -> None:
        """Between two bars: go on with an end that was requested."""
        if not self.is_requested or self._bridge.is_stopping:
            return
        if self._until is None:
            self._until = time.monotonic() + _PATIENCE_S
            self.before_stop()
        if self._broker.is_settled:
            self._bridge.request_stop()
        elif time.monotonic() >= self._until:
            log.event(_LOG, "stopped_with_orders_unanswered", seconds=_PATIENCE_S)
            self._bridge.request_stop()

    def halt(self, reason: str) -> None:
        """Send no order any more, and end."""
        self._halt("session_halted", reason)
        self.request_stop()

    def halt_account(self, reason: str) -> None:
        """Send no order any more, but watch on: resting orders may still be filled, and a person may resume."""
        self._halt("account_halted", reason)

    def _halt(self, kind: str, reason: str) -> None:
        self._progress.state, self._progress.reason, self._broker.halted = SessionState.HALTED, reason, reason
        self._health.notify(kind, "error", reason=reason)
