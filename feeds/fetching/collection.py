"""A factor's source and its record: what the source says is fetched within a time limit and recorded; what goes wrong is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.kinds import delay_of, kind_of, spacing
from forwardtrader.feeds.factors.record import FactorRecord
from forwardtrader.feeds.fetching.port import Page, Source

T = TypeVar("T")
_LOG: Final = log.logger("feeds")
_MOST_PAGES: Final = 20_000
_AGAIN_STEPS: Final = 3  # of the newest rows, which may have been revised since
_PATIENCE: Final = 6.0  # times the time-out of a request, for one page: it may take several requests


@dataclass
class Collector:
    """Collects one factor.

    Args:
        entry: located, so that `file` is its record.
        open_source: opens the source; again after it hung.
        timeout_s: of one request.

    Attributes:
        failures: how often in a row the source failed; `failed` counts all times.
        refused: rows left out since their time or value could not be read.
    """

    entry: FactorSettings
    open_source: Callable[[], Source]
    clock: Clock
    timeout_s: float = 10.0
    failures: int = 0
    failed: int = 0
    refused: int = 0
    _source: Source | None = None

    def __post_init__(self) -> None:
        self.record = FactorRecord(Path(self.entry.file))

    @property
    def name(self) -> str:
        return self.entry.title

    @property
    def every(self) -> timedelta:
        """How often the source is worth asking."""
        return self.entry.every or kind_of(self.entry).every

    def collect(self, since: datetime, *, live: bool) -> int:
        """Record all that the source says of moments from `since` on; returns how many rows were new.

        Pages are recorded as they arrive. Must not be called from two threads at once.

        Raises:
            TradingError: the source failed, or the record cannot be written; what was recorded before is kept.
        """
        added, at = 0, since
        try:
            for _ in range(_MOST_PAGES):
                page = self._page(at)
                added += self.record.append(page.rows, delay_of(self.entry), self.clock.now(), live=live)
                self.refused += page.rows.refused
                if page.upto is None or page.upto <= at:
                    break
                at = page.upto
        except Exception:
            self.failures += 1
            self.failed += 1
            raise
        self.failures = 0
        return added

    def collect_newest(self, reach: timedelta) -> int:
        """As `collect` while somebody looks on: from the newest rows on, or where there are none from `reach` ago on."""
        newest = self.record.newest()
        since = self.clock.now() - reach if newest is None else newest - _AGAIN_STEPS * spacing(self.entry)
        return self.collect(since, live=True)

    def _page(self, since: datetime) -> Page:
        source = self._source = self._source or self.open_source()
        try:
            return within(self.timeout_s * _PATIENCE, lambda: source.page(since, self.clock.now()), f"the source of {self.name}")
        except Exception:
            self._source = None  # it may still be at the request that was given up
            raise


def within(seconds: float, call: Callable[[], T], what: str) -> T:
    """The result of a call that may hang, or its error; it is left behind in a daemon thread after so many seconds.

    Raises:
        VenueUnreachable: it has taken longer.
    """
    answers: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            errors.append(error)

    thread = threading.Thread(target=work, name="factor source", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise VenueUnreachable(f"{what} did not answer within {seconds:g} s")
    if errors:
        raise errors.pop()
    return answers.pop()
