"""Carries events from the state store to a mirror, in a thread of its own; nothing ever waits for it."""

from __future__ import annotations

import random
import threading
from typing import Final

from forwardtrader.core import log
from forwardtrader.live.output.state_store import Mirror, StateStore

_LOG: Final = log.logger("live")
_BATCH: Final = 100
_LONGEST_PAUSE_S: Final = 60.0


class MirrorQueue:
    """Sends batches in order; a failure is retried at growing, jittered distances until it succeeds or the session ends.

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
        """Try once more to send what waits, for so long at most; the rest stays for the next start."""
        self._stopped.set()
        self._thread.join(wait_s)

    def send_waiting(self) -> bool:
        """Send one batch; False where nothing waited.

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
            except Exception as error:  # noqa: BLE001 - a mirror may fail in any way; the truth is here, and it is tried again
                self.failures += 1
                pause = min(_LONGEST_PAUSE_S, 2 * pause)
                log.event(_LOG, "mirror_failed", error=type(error).__name__, waiting=self._store.lag(), pause_s=pause)
            if last:
                return
            self._stopped.wait(pause * self._rng.uniform(0.8, 1.2))
