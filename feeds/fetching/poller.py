"""Factors of a session: each source is asked again and again by one thread, and what it says is recorded; no error leaves it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import SimpleQueue
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.retry import Backoff
from forwardtrader.core.user_code.errors import described
from forwardtrader.feeds.fetching.collection import Collector

FAILED: Final = "factor_source_failed"
WORKS: Final = "factor_source_works"
_LOG: Final = log.logger("feeds")
_BACKOFF: Final = Backoff(first_s=60.0, longest_s=1800.0)
_LEAST_WAIT_S: Final = 0.05
_CLOSING_S: Final = 2.0


class FactorPoller:
    """Asks the sources of a session.

    Args:
        reach: how far back a source is asked whose record is empty.
        minute_s: seconds of this machine in a minute of the market.

    Attributes:
        events: what is to be told, as (kind, level, facts): an outage once at its begin and once at its end.
    """

    def __init__(self, collectors: Sequence[Collector], reach: timedelta, *, minute_s: float = 60.0) -> None:
        self.collectors = tuple(collectors)
        self.events: SimpleQueue[tuple[str, str, dict[str, object]]] = SimpleQueue()
        self._reach, self._minute_s = reach, minute_s
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def first(self, patience_s: float) -> None:
        """Fetch what the records lack before the first bar, all sources at once, for so many seconds at most; the rest follows."""
        ready = [threading.Event() for _ in self.collectors]
        for collector, done in zip(self.collectors, ready, strict=True):
            thread = threading.Thread(target=self._run, args=(collector, done), name=f"factor {collector.name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        until = time.monotonic() + patience_s
        for done in ready:
            done.wait(max(0.0, until - time.monotonic()))

    def stop(self) -> None:
        """Ask no more. A request that is on its way is left to end by itself."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_CLOSING_S)

    def _run(self, collector: Collector, ready: threading.Event) -> None:
        is_first = True
        while not self._stopping.is_set():
            self._ask(collector, is_first=is_first)
            is_first = is_first and collector.failures > 0
            ready.set()
            self._stopping.wait(self._pause(collector))

    def _ask(self, collector: Collector, *, is_first: bool) -> None:
        failing = collector.failures > 0
        try:
            self._collect(collector, is_first=is_first)
        except Exception as error:  # noqa: BLE001 - whatever a source sends, the session goes on without it
            log.event(_LOG, FAILED, factor=collector.name, failures=collector.failures, reason=log.redact(described(error)))
            if not failing:
                self.events.put((FAILED, "warning", {"factor": collector.name, "reason": log.redact(str(error))}))
            return
        if failing:
            self.events.put((WORKS, "info", {"factor": collector.name, "failed": collector.failed}))

    def _collect(self, collector: Collector, *, is_first: bool) -> None:
        """At first all that the record lacks, as a backtest would know it; from then on what is new becomes known when it arrives."""
        if not is_first:
            collector.collect_newest(self._reach)
            return
        newest = collector.record.newest()
        since = collector.clock.now() - self._reach
        collector.collect(since if newest is None else max(since, newest), live=False)

    def _pause(self, collector: Collector) -> float:
        usual = collector.every / timedelta(minutes=1) * self._minute_s
        waits = min(usual, _BACKOFF.pause(collector.failures)) if collector.failures else usual
        return max(waits, _LEAST_WAIT_S)


Notify = Callable[..., None]


def tell(poller: FactorPoller, notify: Notify) -> None:
    """Pass on what has happened since the last call; in the thread that may notify."""
    while not poller.events.empty():
        kind, level, facts = poller.events.get()
        notify(kind, level, **facts)
