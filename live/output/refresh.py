"""What a session shows while it runs: its tables and its page, and what of it goes to the mirror.

Backtrader's thread only looks at the recorders. Tables and page, which grow with the session, are written by a process beside it; a thread
waits for that and tells the mirror, so that no order waits for a file.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.output.job import Writing
from forwardtrader.live.output.mirror import SessionMirror
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import fresh_rows
from forwardtrader.live.output.writer import NotWritten, Writer, shared_writer
from forwardtrader.reports.pages.session_status import SessionStatus

_LOG: Final = log.logger("live")
_STATUS_S: Final = 10.0
_FIRST_S: Final = 1.0  # a session of a few bars has ended by then, and its first bar is not to be disturbed
_SHARE: Final = 20  # writing takes at most one twentieth of the time
_LONGEST_S: Final = 600.0  # what takes longer hangs
_END_S: Final = 2.0  # that the last writing waits for one in progress, before that is ended
_ENDED_S: Final = 60.0  # and for its end, should the state it tells the mirror of be slow


class SessionOutput:
    """Has a session's folder written, never twice at a time and never so often that it costs the machine much.

    Args:
        status: what the session says of itself; called in Backtrader's thread.
        mirror: closed by whoever made it.
        writer: does the writings; the one of this process where it is left out.
    """

    def __init__(
        self, session: Any, store: SessionStore, mirror: SessionMirror, status: Callable[[], SessionStatus], *,
        writer: Writer | None = None, first_s: float = _FIRST_S, least_s: float = _STATUS_S, longest_s: float = _LONGEST_S,
    ) -> None:  # fmt: skip
        self._session = session
        self._store = store
        self._mirror = mirror
        self._status = status
        self._writer = writer or shared_writer()
        self._first_s = first_s
        self._least_s = least_s
        self._longest_s = longest_s
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._is_over = False
        self._next: float | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a writing is in progress."""
        return self._thread is not None and self._thread.is_alive()

    def refresh(self) -> None:
        """Have written anew what is due, beside the session; end a writing that hangs."""
        now = time.monotonic()
        if self.is_busy:
            if now > self._began + self._longest_s:
                self._writer.stop()
            return
        if self._next is None:
            self._next = now + self._first_s
        if now < self._next or self._session.strategy is None:
            return
        self._began, self._next = now, now + self._least_s
        self._thread = threading.Thread(target=self._have_written, args=(self._writing(),), name="output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Write everything in this process, which ends now, and tell the mirror."""
        self._is_over = True  # what an older status says must not be written over what comes now
        if self._thread is not None:
            self._thread.join(_END_S)
            if self.is_busy:
                self._writer.stop()
                self._thread.join(_ENDED_S)
        if self._session.strategy is None:
            return
        writing = self._writing()
        try:
            writing.do()
        finally:
            self._tell_mirror(writing, last=True)

    def _writing(self) -> Writing:
        """Take what only Backtrader's thread may look at."""
        request = self._session.request
        return Writing(
            folder=request.folder.resolve(), owner=os.getpid(), symbols=tuple(request.symbols), since=self._session.scene.first_live,
            marks=self._store.marks(), fresh=fresh_rows(self._session.strategy), status=self._status(),
        )  # fmt: skip

    def _have_written(self, writing: Writing) -> None:
        try:
            self._tell_mirror(writing)
        except Exception:  # noqa: BLE001 - a state that cannot be written must not stop a session; it is tried again
            _LOG.error("mirror not told", exc_info=True)
        if self._is_over:
            return
        try:
            self._writer.write(writing)
        except NotWritten as trouble:
            took = round(time.monotonic() - self._began, 1)
            log.event(_LOG, "output_not_written", logging.ERROR, reason=str(trouble).strip(), seconds=took)
        else:
            now = time.monotonic()
            self._next = max(self._began + self._least_s, now + _SHARE * (now - self._began))

    def _tell_mirror(self, writing: Writing, *, last: bool = False) -> None:
        self._mirror.status(writing.status.model_dump(mode="json"), now=last)
        more = True
        while more:
            more = self._mirror.fills(self._store, writing.marks.fills, writing.fresh.fills) and last
