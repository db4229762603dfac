"""The mirror queue: sends what waits in the state store to the mirror, in a thread that nothing waits for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final

from filelock import FileLock, Timeout

from forwardtrader.core import log
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.errors import ConfigError, TradingError, VenueRefused
from forwardtrader.live.mirror.budget import WriteBudget, day_of
from forwardtrader.live.output.state_store import Event, Mirror, StateStore, Urgency

_LOG: Final = log.logger("live")
_LEAST, _MOST = 25, 400  # documents in a batch, of which Firestore takes 500
_LONGEST_PAUSE_S: Final = 60.0


class MirrorQueue:
    """Sends waiting events in batches, the urgent ones first; a failed one is retried with exponential backoff and jitter until it succeeds
    or the session ends. Of all processes that share a state store one sends, and waits for the disk in place of those that write to it.

    Args:
        notify: sends an alert: kind, level and facts, as `SessionHealth.notify`.
        longest_lag_s: how long a document may wait before that is an alert.
        seed: of the jitter.
    """

    def __init__(
        self, store: StateStore, mirror: Mirror, *, budget: WriteBudget | None = None, clock: Clock | None = None,
        notify: Callable[..., None] = lambda *_kind, **_facts: None, longest_lag_s: float = 300.0, every_s: float = 1.0, seed: int = 0,
    ) -> None:  # fmt: skip
        self.failures = 0
        self._store, self._mirror = store, mirror
        self._budget, self._clock = budget or WriteBudget(0), clock or SystemClock()
        self._notify, self._longest_lag_s = notify, longest_lag_s
        self._every_s = every_s
        self._rng = random.Random(seed)
        self._size = _MOST  # smaller after a failure, which may be that so many take too long
        self._lags = False
        self._over = ""  # the day on which the budget was used up
        self._refusal = ""
        self._lock = FileLock(f"{store.path}.sender", mode=0o600)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """Try once more to send what waits, for at most `wait_s`; the rest stays for the next start."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def send_waiting(self) -> bool:
        """Send one batch; False where none waited, or none may be sent today.

        Raises:
            TradingError: as `Mirror.put`; the events stay.
        """
        events = self._due()
        if events:
            self._put(events)
            self._size = min(_MOST, 2 * self._size)
        return bool(events)

    def _due(self) -> list[Event]:
        spent = self._store.spent(day_of(self._clock.now()))
        for urgency in (Urgency.LATER, Urgency.FIRST):  # of all first; of the urgent ones alone where only these may still be written
            if left := self._budget.left(spent, urgency):
                return self._store.waiting(min(left, self._size), urgency)
        return []

    def _put(self, events: list[Event]) -> None:
        try:
            self._mirror.put(events)
        except VenueRefused as refusal:
            if len(events) == 1:
                self._store.drop(events[0], str(refusal))
                self._notify("mirror_dropped", "error", document=events[0].name, reason=str(refusal))
                return
            for half in (events[: len(events) // 2], events[len(events) // 2 :]):  # which of them it is, only parts of them tell
                self._put(half)
            return
        self._store.spend(day_of(self._clock.now()), len(events))
        self._store.mirrored(events)

    def _work(self) -> None:
        pause = self._every_s
        while True:
            last = self._stopped.is_set()
            try:
                pause = self._turn(pause)
            except Exception:  # noqa: BLE001 - the store was closed while a send hung, or has no room: the session has its own word on that
                if not self._stopped.is_set():
                    _LOG.error("mirror failed", exc_info=True)
            if last or (self._stopped.is_set() and pause > self._every_s):
                self._lock.release(force=True)
                return
            self._stopped.wait(pause * self._rng.uniform(0.8, 1.2))

    def _turn(self, pause: float) -> float:
        """Send what may be sent; returns the pause until the next turn."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:  # another process sends; it is looked at again, since it may end
            return self._every_s
        try:
            while self.send_waiting():
                pass
            pause, self._refusal = self._every_s, ""
        except TradingError as error:
            pause = self._failed(error, pause)
        except Exception as error:  # noqa: BLE001 - a mirror may fail in any way; the state store has the events, and they are sent again
            pause = self._failed(error, pause)
        self._store.checkpoint()
        self._look()
        return pause

    def _failed(self, error: Exception, pause: float) -> float:
        self.failures += 1
        self._size = max(_LEAST, self._size // 2)
        pause = min(_LONGEST_PAUSE_S, 2 * pause)
        log.event(_LOG, "mirror_failed", error=str(error) or type(error).__name__, waiting=self._store.lag().waiting, pause_s=pause)
        if isinstance(error, ConfigError) and str(error) != self._refusal:
            self._refusal = str(error)
            self._notify("mirror_refused", "error", reason=str(error))
        return pause

    def _look(self) -> None:
        """Alert where the mirror lags or the day's writes are used up, once each, and when it has caught up."""
        lag, now = self._store.lag(), self._clock.now()
        age_s = 0.0 if lag.since is None else now.timestamp() - lag.since
        day = day_of(now)
        if lag.waiting and self._over != day and not self._budget.left(self._store.spent(day), Urgency.LATER):
            self._over = day
            self._notify("mirror_over_budget", "warning", waiting=lag.waiting, writes_per_day=self._budget.most)
        if age_s > self._longest_lag_s and not self._lags:
            self._lags = True
            self._notify("mirror_lags", "warning", waiting=lag.waiting, oldest_s=round(age_s))
        elif self._lags and not lag.waiting:
            self._lags = False
            self._notify("mirror_caught_up", "info")
