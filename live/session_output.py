"""What a session shows while it runs: its tables and its page, and what of it goes to the mirror.

Backtrader's thread only takes the rows off its recorders. Tables, page and mirror are made in a thread beside it, so that no order waits
for a file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from core import log
from live.memory import give_back
from live.session_files import render_page, write_tables
from live.session_learning import with_learning
from live.session_mirror import SessionMirror
from live.session_rows import joined, tables_of
from live.session_store import SessionStore
from reports.session_status import SessionStatus, write_status

_LOG: Final = log.logger("live")
_STATUS_S: Final = 10.0
_SHARE: Final = 20  # writing takes at most one twentieth of the time


class SessionOutput:
    """Writes a session's folder, never twice at a time and never so often that it costs the session much.

    Args:
        status: what the session says of itself; called in Backtrader's thread.
        mirror: closed by whoever made it.
    """

    def __init__(
        self, session: Any, store: SessionStore, mirror: SessionMirror, status: Callable[[], SessionStatus], *, least_s: float = _STATUS_S
    ) -> None:
        self._session = session
        self._folder = session.request.folder
        self._store = store
        self._mirror = mirror
        self._status = status
        self._least_s = least_s
        self._thread: threading.Thread | None = None
        self._next = 0.0
        self._mirrored = 0

    def refresh(self) -> None:
        """Write anew what is due, beside the session."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() < self._next or self._session.strategy is None:
            return
        self._next = time.monotonic() + self._least_s
        work = self._work()
        self._thread = threading.Thread(target=self._try, args=(work,), name="output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Write everything, and wait for it."""
        if self._thread is not None:
            self._thread.join(60)
        if self._session.strategy is not None:
            self._work(last=True)()

    def _work(self, *, last: bool = False) -> Callable[[], None]:
        """Take what only Backtrader's thread may look at; the rest is done by whoever calls the answer."""
        status, fresh, kept = self._status(), tables_of(self._session.strategy), self._store.marks()
        symbols, since = self._session.request.symbols, pd.Timestamp(self._session.scene.first_live)

        def write() -> None:
            forecasts, own = self._store.forecasts(), {s: self._store.bars(s) for s in symbols}
            rows = joined(self._store.tables(symbols, kept), fresh, since)
            fills = write_tables(self._folder, rows, forecasts, own)
            self._tell_mirror(status, fills, last=last)
            write_status(self._folder, with_learning(status, self._folder, forecasts, own, fills))
            render_page(self._folder)

        return write

    def _try(self, work: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            work()
        except Exception:  # noqa: BLE001 - a file that cannot be written must not stop a session; the next one may be
            _LOG.error("output not written", exc_info=True)
        give_back()
        self._next = max(self._next, time.monotonic() + _SHARE * (time.monotonic() - began))

    def _tell_mirror(self, status: SessionStatus, fills: pd.DataFrame, *, last: bool) -> None:
        self._mirror.status(status.model_dump(mode="json"), now=last)
        for number, row in list(enumerate(fills.to_dict("records")))[self._mirrored :]:
            self._mirror.fill(f"{number:08d}", {str(name): value for name, value in row.items()})
        self._mirrored = len(fills)
