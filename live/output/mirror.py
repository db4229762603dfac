"""The mirror of a session: its status once a minute and each fill once, written to the state store and sent on by a thread."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.output.state_store import Body, Mirror, StateStore
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.sqlite_file import Row
from forwardtrader.strategies.backtrader.fill_recorder import fills_frame

_LOG: Final = log.logger("live")
_BATCH: Final = 100
_LONGEST_PAUSE_S: Final = 60.0
_STATUS_EVERY_S: Final = 60.0  # a day of it stays far below Firestore's free 20,000 writes
_AT_ONCE: Final = 200  # fills; a state that was lost may lack all of a long session


class SessionMirror:
    """Writes documents under `sessions/<name>`; a slow or broken mirror never delays the session."""

    def __init__(self, settings: LiveSettings, name: str, mirror: Mirror | None = None) -> None:
        self.store = StateStore(Path(settings.state_path))
        self._name = name
        self._next = 0.0
        newest = self.store.newest(f"sessions/{name}/fills/")
        self._sent = 0 if newest is None else int(newest) + 1
        self._outbox: MirrorQueue | None = None
        if mirror is None and settings.firestore_project:
            from forwardtrader.live.output.firestore import FirestoreMirror

            mirror = FirestoreMirror(settings.firestore_project)
        if mirror is not None:
            self._outbox = MirrorQueue(self.store, mirror)
            self._outbox.start()

    def status(self, body: Body, *, now: bool = False) -> None:
        """Write the status, at most once a minute unless `now` is set."""
        if now or time.monotonic() >= self._next:
            self._next = time.monotonic() + _STATUS_EVERY_S
            kept = {key: value for key, value in body.items() if key not in ("config", "versions", "alerts")}
            self.store.set(f"sessions/{self._name}", log.redacted(kept))

    def fills(self, session: SessionStore, upto: int, fresh: Sequence[Row]) -> bool:
        """Write some of the fills that were not written yet, under their number in the session; False where there were none.

        Args:
            upto: the number of fills in the session's file to write, at most.
            fresh: rows of the recorder, of fills that came after these.
        """
        self._correct(session)
        rows = session.fills(self._sent, upto, _AT_ONCE)
        if self._sent + len(rows) >= upto:
            rows += fresh[max(0, self._sent - upto) :]
        for body in _bodies(rows):
            self._once(self._fill(self._sent), body)
            self._sent += 1
        return bool(rows)

    def _correct(self, session: SessionStore) -> None:
        """Write fills anew that the venue corrected after they had been written: prices and fees of a stand-in become the real ones."""
        corrected = session.corrected_fills()
        for number in [number for number in corrected if number <= self._sent]:
            for body in _bodies(session.fills(number - 1, number, 1)):
                self.store.set(self._fill(number - 1), log.redacted(body))
        if corrected:
            session.forget_corrected(corrected)

    def _fill(self, index: int) -> str:
        return f"sessions/{self._name}/fills/{index:08d}"

    def note(self, key: str, body: Body) -> None:
        self._once(f"sessions/{self._name}/notes/{key}", body)

    def close(self) -> None:
        if self._outbox is not None:
            self._outbox.stop()
        self.store.close()

    def _once(self, name: str, body: Body) -> None:
        if self.store.get(name) is None:
            self.store.set(name, log.redacted(body))


def _bodies(rows: list[Row]) -> list[Body]:
    return [{str(name): value for name, value in row.items()} for row in fills_frame(rows).to_dict("records")]


class MirrorQueue:
    """Sends waiting events from the state store to a mirror, in a thread that nothing waits for.

    Batches are sent in order; a failed one is retried with exponential backoff and jitter until it succeeds or the session ends.

    Args:
        seed: of the jitter.
    """

    def __init__(self, store: StateStore, mirror: Mirror, *, every_s: float = 1.0, seed: int = 0) -> None:
        self.failures = 0
        self._store = store
        self._mirror = mirror
        self._every_s = every_s
        self._rng = random.Random(seed)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """Try once more to send what waits, for at most `wait_s`; the rest stays for the next start."""
        self._stopped.set()
        self._thread.join(wait_s)

    def send_waiting(self) -> bool:
        """Send one batch; False where none waited.

        Raises:
            Exception: whatever the mirror raises; the events stay.
        """
        events = self._store.waiting(_BATCH)
        if events:
            self._mirror.put(events)
            self._store.mirrored(events)
        return bool(events)

    def _work(self) -> None:
        pause = self._every_s
        while True:
            last = self._stopped.is_set()
            try:
                while self.send_waiting():
                    pass
                pause = self._every_s
            except Exception as error:  # noqa: BLE001 - a mirror may fail in any way; the state store has the events, and they are sent again
                self.failures += 1
                pause = min(_LONGEST_PAUSE_S, 2 * pause)
                log.event(_LOG, "mirror_failed", error=type(error).__name__, waiting=self._store.lag(), pause_s=pause)
            if last:
                return
            self._stopped.wait(pause * self._rng.uniform(0.8, 1.2))
