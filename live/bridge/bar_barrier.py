"""Several symbols and bar lengths in step: the bars that close at one moment are released together, or without those that the venue does
not have."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from forwardtrader.core import log
from forwardtrader.feeds.candles.bar import Bar

_LOG: Final = log.logger("live")


class BarBarrier:
    """A queue per symbol. Filled by the venue's thread, emptied by Backtrader's; all methods may be called from any thread.

    The oldest waiting moment is released once every symbol has a bar at or after it, is known to have none (`quiet`), or
    `bar_timeout_s` seconds have passed since its first bar arrived; the latter is recorded.

    Args:
        wake: notified whenever something may have become ready; the same one for all that stand beside each other.
        step_ms: length of the bars, in milliseconds; needed where bars of another length are beside.

    Attributes:
        beside: the barriers of other bar lengths, which wait for each other at each close that they share.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        wake: threading.Condition,
        *,
        step_ms: int = 0,
        bar_timeout_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wake = wake
        self.symbols = list(symbols)
        self.missed = 0  # bars
        self.beside: list[BarBarrier] = []
        self._step = step_ms
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
        return queue[0].at <= self._released or self._release(queue[0].at + self._step)

    def _release(self, end: int) -> bool:
        """Release what closes at `end` (ms UTC), unless something closes before that, or is awaited."""
        together = [self, *self.beside]
        if end > min(each._front() for each in together):
            return False
        lacking = [(each, symbol) for each in together for symbol in each._lacking(end)]
        if lacking and not self._is_overdue(end):
            return False
        for each, symbol in lacking:
            each.missed += 1
            log.event(_LOG, "bar_not_awaited", symbol=symbol, at=end - each._step, seconds=self._timeout_s)
        for each in together:
            each._released = max(each._released, end - each._step)
        return True

    def _front(self) -> float:
        """When the first bar that waits closes."""
        return min((queue[0].at + self._step for queue in self._queues.values() if queue), default=math.inf)

    def _lacking(self, end: int) -> list[str]:
        """The symbols whose bar that closes at `end` may still come."""
        if self.beside and self._step and end % self._step:
            return []
        return [s for s, queue in self._queues.items() if not queue and self._quiet_until[s] + self._step < end]

    def _is_overdue(self, end: int) -> bool:
        now = self._monotonic()
        if self._first_seen[0] != end:
            self._first_seen = (end, now)
        return now - self._first_seen[1] >= self._timeout_s
