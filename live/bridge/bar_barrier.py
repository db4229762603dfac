"""Several symbols in step: the bars of one moment are released together, or without those that the venue does not have."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from forwardtrader.core import log
from forwardtrader.feeds.live.bar_sequence import Bar

_LOG: Final = log.logger("live")


class BarBarrier:
    """A queue per symbol. Filled by the venue's thread, emptied by Backtrader's; all methods may be called from any thread.

    The oldest waiting moment is released once every symbol has a bar at or after it, is known to have none (`quiet`), or
    `bar_timeout_s` seconds have passed since its first bar arrived; the latter is recorded.

    Args:
        wake: notified whenever something may have become ready.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        wake: threading.Condition,
        *,
        bar_timeout_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wake = wake
        self.symbols = list(symbols)
        self.missed = 0  # bars
        self._queues: dict[str, deque[Bar]] = {symbol: deque() for symbol in symbols}
        self._quiet_until = dict.fromkeys(symbols, -1)
        self._released = -1
        self._timeout_s = bar_timeout_s
        self._monotonic = monotonic
        self._first_seen: tuple[int, float] = (-1, 0.0)

    def put(self, symbol: str, bar: Bar) -> None:
        """Queue the next bar of `symbol`."""
        with self.wake:
            self._queues[symbol].append(bar)
            self.wake.notify_all()

    def quiet(self, symbol: str, until: int) -> None:
        """The venue has no further bar of `symbol` up to and with the one opening at `until` (ms)."""
        with self.wake:
            self._quiet_until[symbol] = max(self._quiet_until[symbol], until)
            self.wake.notify_all()

    def take(self, symbol: str) -> Bar | None:
        """The next released bar of `symbol`, or None where none is due."""
        with self.wake:
            return self._queues[symbol].popleft() if self._ready(symbol) else None

    def ready(self, symbol: str) -> bool:
        """Whether `take` would give a bar."""
        with self.wake:
            return self._ready(symbol)

    def is_quiet(self, symbol: str, at: int) -> bool:
        """Whether the venue is known to have nothing of `symbol` up to `at` beyond what was put."""
        return self._quiet_until[symbol] >= at

    def waiting(self, symbol: str) -> int:
        """How many bars of `symbol` are queued."""
        return len(self._queues[symbol])

    @property
    def is_empty(self) -> bool:
        return not any(self._queues.values())

    def _ready(self, symbol: str) -> bool:
        queue = self._queues[symbol]
        if not queue:
            return False
        return queue[0].at <= self._released or self._release(queue[0].at)

    def _release(self, at: int) -> bool:
        front = min(queue[0].at for queue in self._queues.values() if queue)
        if at > front:
            return False
        lacking = [s for s, queue in self._queues.items() if not queue and self._quiet_until[s] < front]
        if lacking and not self._is_overdue(front):
            return False
        for symbol in lacking:
            self.missed += 1
            log.event(_LOG, "bar_not_awaited", symbol=symbol, at=front, seconds=self._timeout_s)
        self._released = front
        return True

    def _is_overdue(self, front: int) -> bool:
        now = self._monotonic()
        if self._first_seen[0] != front:
            self._first_seen = (front, now)
        return now - self._first_seen[1] >= self._timeout_s
