"""What of a session goes into the state store and from there to the mirror: its status now and then, each fill and note once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.output.outbox import MirrorQueue
from forwardtrader.live.output.state_store import Mirror, StateStore
from forwardtrader.live.output.store import SessionStore
from forwardtrader.strategies.backtrader.fill_recorder import fills_frame

_STATUS_EVERY_S: Final = 60.0  # a day of it stays far below Firestore's free 20,000 writes
_AT_ONCE: Final = 200  # fills; a state that was lost may lack all of a long session


class SessionMirror:
    """Writes documents under `sessions/<name>`; slow or broken mirrors are no concern of the session."""

    def __init__(self, settings: LiveSettings, name: str, mirror: Mirror | None = None) -> None:
        self.store = StateStore(Path(settings.state_path))
        self._name = name
        self._next = 0.0
        newest = self.store.newest(f"sessions/{name}/fills/")
        self._told = 0 if newest is None else int(newest) + 1
        self._outbox: MirrorQueue | None = None
        if mirror is None and settings.firestore_project:
            from forwardtrader.live.output.firestore import FirestoreMirror

            mirror = FirestoreMirror(settings.firestore_project)
        if mirror is not None:
            self._outbox = MirrorQueue(self.store, mirror)
            self._outbox.start()

    def status(self, body: dict[str, Any], *, now: bool = False) -> None:
        """Keep the status, at most once a minute unless it is the last one."""
        if now or time.monotonic() >= self._next:
            self._next = time.monotonic() + _STATUS_EVERY_S
            kept = {key: value for key, value in body.items() if key not in ("config", "versions", "alerts")}
            self.store.set(f"sessions/{self._name}", log.redacted(kept))

    def fills(self, session: SessionStore, upto: int, fresh: Sequence[tuple[Any, ...]]) -> bool:
        """Keep some of the fills that were not kept yet, under their number in the session; False where there were none.

        Args:
            upto: the mark of the fills in the session's file that are meant.
            fresh: rows of the recorder, of fills that came after these.
        """
        rows = session.fills(self._told, upto, _AT_ONCE)
        if self._told + len(rows) >= upto:
            rows += fresh[max(0, self._told - upto) :]
        for row in fills_frame(rows).to_dict("records"):
            self._once(f"sessions/{self._name}/fills/{self._told:08d}", {str(name): value for name, value in row.items()})
            self._told += 1
        return bool(rows)

    def note(self, key: str, body: dict[str, Any]) -> None:
        self._once(f"sessions/{self._name}/notes/{key}", body)

    def close(self) -> None:
        if self._outbox is not None:
            self._outbox.stop()
        self.store.close()

    def _once(self, name: str, body: dict[str, Any]) -> None:
        if self.store.get(name) is None:
            self.store.set(name, log.redacted(body))
