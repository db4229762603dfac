"""The output of a running session, refreshed from time to time: its tables, its page and its mirror, and what they need of the venue.

Backtrader's thread only reads the recorders. Tables and page, which grow with the session, are written by a child process; a thread waits
for that, and another one writes the mirror, so that no order waits for a file, and the mirror for no table.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.writer import NotWritten, Writer, shared_writer
from forwardtrader.reports.pages.session_status import SessionStatus

_LOG: Final = log.logger("live")
_STATUS_S: Final = 10.0
_FIRST_S: Final = 1.0  # a session of a few bars has ended by then, and its first bar is not disturbed
_SHARE: Final = 20  # jobs take at most one twentieth of the time
_LONGEST_S: Final = 600.0  # a job that takes longer hangs
_END_S: Final = 2.0  # that the last job waits for one in progress, before that is ended
_ENDED_S: Final = 60.0  # and for its end, should the state store be slow


class StatusMirror(Protocol):
    """Where the session is copied to beside its own folder."""

    def write(self, status: SessionStatus, *, last: bool = False) -> None:
        """Copy what changed; everything, where it is the last time."""
        ...


class Facts(Protocol):
    """What the venue publishes beside bars."""

    def keep(self, *, last: bool = False) -> None:
        """Keep what is not known yet, in the session's file; try at any price, where it is the last time."""
        ...


class SessionOutput:
    """Has a session's folder written: one job at a time, and never so often that it costs the machine much.

    Args:
        job: what is to be written now; None before the first bar. Called in Backtrader's thread.
        mirror: closed by its owner.
        facts: kept before anything is written, so that what is written can be replayed, however the session ends; None for none.
        writer: runs the jobs; the one of this process by default.
    """

    def __init__(
        self, job: Callable[[], WriteJob | None], store: SessionStore, mirror: StatusMirror, *, facts: Facts | None = None,
        writer: Writer | None = None, first_s: float = _FIRST_S, least_s: float = _STATUS_S, longest_s: float = _LONGEST_S,
    ) -> None:  # fmt: skip
        self._job = job
        self._store = store
        self._mirror = mirror
        self._facts = facts
        self._writer = writer or shared_writer()
        self._first_s = first_s
        self._least_s = least_s
        self._longest_s = longest_s
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._over = threading.Event()
        self._next: float | None = None
        self._copying: threading.Thread | None = None
        self._next_copy = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a job is in progress."""
        return _runs(self._thread)

    def refresh(self) -> None:
        """Start what is due; end a job that hangs."""
        now = time.monotonic()
        if self._next is None:
            self._next = self._next_copy = now + self._first_s
        if self.is_busy and now > self._began + self._longest_s:
            self._writer.stop()
        writes, copies = now >= self._next and not self.is_busy, now >= self._next_copy and not _runs(self._copying)
        if not (writes or copies) or (job := self._job()) is None:
            return
        if copies:
            self._next_copy = now + self._least_s
            self._copying = threading.Thread(target=self._copy, args=(job.status,), name="mirror", daemon=True)
            self._copying.start()
        if writes:
            self._began, self._next = now, now + self._least_s
            self._thread = threading.Thread(target=self._run, args=(job,), name="output", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Write everything in this process, which ends now, and the mirror."""
        self._over.set()  # an older status must not overwrite the last one
        if self._thread is not None:
            self._thread.join(_END_S)
            if self.is_busy:
                self._writer.stop()
                self._thread.join(_ENDED_S)
        if self._copying is not None:
            self._copying.join(_ENDED_S)
        self._keep_facts(last=True)
        if (job := self._job()) is None:
            return
        try:
            job.run()
        finally:
            self._mirror.write(job.status, last=True)

    def _keep_facts(self, *, last: bool = False) -> None:
        if self._facts is None:
            return
        try:
            self._facts.keep(last=last)
        except Exception:  # noqa: BLE001 - as with the mirror; they are asked for again
            _LOG.error("facts not kept", exc_info=True)

    def _copy(self, status: SessionStatus) -> None:
        try:
            self._mirror.write(status)
        except Exception:  # noqa: BLE001 - a state that cannot be written must not stop a session; it is written again
            _LOG.error("mirror not written", exc_info=True)

    def _run(self, job: WriteJob) -> None:
        self._keep_facts()
        if self._over.is_set():
            return
        try:
            self._writer.write(job)
        except NotWritten as error:
            if self._over.is_set():  # ended for the last job, which writes everything
                return
            took = round(time.monotonic() - self._began, 1)
            log.event(_LOG, "output_not_written", logging.ERROR, reason=str(error).strip(), seconds=took)
        else:
            now = time.monotonic()
            self._next = max(self._began + self._least_s, now + _SHARE * (now - self._began))


def _runs(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()
