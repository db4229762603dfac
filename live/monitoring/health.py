"""The health of a session's process: memory, CPU, failures of the strategy, and alerts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import psutil

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.user_code.errors import described
from forwardtrader.live.output.store import SessionStore
from forwardtrader.reports.pages.session_status import Alert, Process

_LOG: Final = log.logger("live")
_MOST_FAILURES: Final = 5


class SessionHealth:
    """Counts failures, measures the process, and logs, records and sends alerts.

    Args:
        send: passes an alert on (kind, level, text), for example to Telegram; must not block. By default nothing is sent.
    """

    def __init__(self, store: SessionStore, clock: Clock, send: Callable[[str, str, str], None] = lambda *_alert: None) -> None:
        self._store = store
        self._clock = clock
        self._send = send
        self._process = psutil.Process()
        self._began = time.monotonic()
        self._busy_since = time.perf_counter()
        self.failures = 0
        self.failures_in_a_row = 0
        self._failed_now = False
        self.alerts: list[Alert] = [_alert(note) for note in store.notes(20)]
        self._process.cpu_percent()

    def bar_begins(self) -> None:
        self._busy_since = time.perf_counter()

    @property
    def has_failed_now(self) -> bool:
        """Whether the strategy failed since the last bar's end."""
        return self._failed_now

    def bar_ends(self) -> None:
        """A bar without a failure resets the count of failures in a row."""
        if not self._failed_now:
            self.failures_in_a_row = 0
        self._failed_now = False

    def usage(self, at: int) -> tuple[float, ...]:
        """A row of `SessionStore.record`: bar, memory in MB, CPU in percent of one core, milliseconds that the bar took."""
        took = (time.perf_counter() - self._busy_since) * 1000
        return at, self._process.memory_info().rss / 1e6, self._process.cpu_percent(), took

    def process(self) -> Process:
        """Memory, CPU and uptime now."""
        return Process(
            pid=self._process.pid,
            memory_mb=round(self._process.memory_info().rss / 1e6, 1),
            cpu_percent=self._process.cpu_percent(),
            uptime_s=round(time.monotonic() - self._began, 1),
        )

    def notify(self, kind: str, level: str = "warning", **facts: object) -> None:
        """Log, record and send an alert.

        Args:
            kind: the log event and the alert's text, with underscores.
            level: info, warning or error.
        """
        self.record(kind, level, send=True, **facts)

    def record(self, kind: str, level: str, *, send: bool = False, **facts: object) -> None:
        """Log and record an alert as `notify`, and send it only where that is asked for."""
        facts = log.redacted(facts)
        log.event(_LOG, kind, {"error": logging.ERROR, "info": logging.INFO}.get(level, logging.WARNING), **facts)
        at = self._clock.now().isoformat()
        alert = _alert({"at": at, "level": level, "kind": kind, "facts": facts})
        self.alerts = [*self.alerts[-19:], alert]
        if send:
            self._send(kind, level, alert.text)  # before it is recorded: the alert may be that the disk is full
        self._store.note(at, level, kind, **facts)

    def failed(self, where: str, error: Exception) -> bool:
        """The strategy raised an exception; returns whether so many bars failed in a row that the session must halt."""
        self.failures += 1
        self.failures_in_a_row += 1
        self._failed_now = True
        _LOG.error("iteration failed", exc_info=error)
        reason = log.redact(described(error))
        self.notify("iteration_failed", "error", where=where, reason=reason, count=self.failures)
        return self.failures_in_a_row >= _MOST_FAILURES


def _alert(note: dict[str, Any]) -> Alert:
    facts = ", ".join(f"{name} {value}" for name, value in note["facts"].items())
    text = note["kind"].replace("_", " ")
    return Alert(at=note["at"], level=note["level"], text=f"{text}: {facts}" if facts else text)
