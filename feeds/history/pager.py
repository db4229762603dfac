"""Paged download of a venue's candles into the store.

Pages are appended as they arrive, so an interrupted download resumes where it stopped. It is complete when the venue's candles reach the
requested end, not when the venue stops sending.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.command import interrupt
from forwardtrader.core.errors import DownloadCutShort, UnknownSymbol, VenueBusy
from forwardtrader.core.retry import Backoff, Retry, is_unreachable
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.venues.port import Venue

_FLUSH_SECONDS: Final = 5.0
_BLOCK_PAGES: Final = 20
_BACKOFF: Final = Backoff(first_s=0.5, longest_s=60.0, attempts=6)
_QUIET: Final = timedelta(hours=1)  # a market may print nothing for so long before its candles count as ended
_LOG: Final = log.logger("feeds")

Sleep = Callable[[float], None]
Progress = Callable[[datetime], None]
T = TypeVar("T")


@dataclass(frozen=True)
class TimeRange:
    """Open times from `start` up to, not including, `end`."""

    start: datetime
    end: datetime


def missing_ranges(info: StoredInfo | None, wanted: TimeRange, *, now: datetime, cache: timedelta) -> list[TimeRange]:
    """The parts of `wanted` that the store does not cover, earlier ones last.

    The end is not requested again while the last complete download is younger than `cache`.
    """
    if info is None:
        return [wanted] if wanted.start < wanted.end else []
    spans = []
    fresh = info.fetched_at is not None and now - info.fetched_at < cache
    if info.covered_to < wanted.end and not fresh:
        spans.append(TimeRange(info.covered_to, wanted.end))
    if wanted.start < info.covered_from:
        spans.append(TimeRange(wanted.start, info.covered_from))
    return spans


@dataclass
class Download:
    """Download of one venue's candles into the store; all pauses go through `sleep`."""

    venue: Venue
    key: CandleKey
    store: CandleStore
    clock: Clock
    sleep: Sleep = interrupt.sleep
    progress: Progress = field(default=lambda _at: None)
    _end: datetime | None = None
    _reached: bool = False  # the venue has shown a bar beyond the end

    def run(self, wanted: TimeRange, *, cache: timedelta = timedelta(0)) -> int:
        """Fetch what the store lacks of `wanted`; returns how many bars are new.

        Raises:
            VenueUnreachable, VenueRefused, UnknownSymbol, UnknownTimeframe: from the venue; bars received are kept.
            DownloadCutShort: the venue's candles end before `wanted.end`.
            CandleFileInvalid: the venue sent impossible prices.
        """
        now = self.clock.now()
        wanted = TimeRange(
            candles.grid_floor(wanted.start, self.key.timeframe), min(wanted.end, candles.grid_floor(now, self.key.timeframe))
        )
        stored = self.store.read(self.key)
        self._end, added = wanted.end, 0
        spans = missing_ranges(stored.info if stored else None, wanted, now=now, cache=cache)
        for span in spans:
            earlier = stored is not None and span.end == stored.info.covered_from
            added += sum(self._fetch(block, whole_only=True) for block in self._backwards(span)) if earlier else self._fetch(span)
        if spans:
            self._finish(wanted, now)
        return added

    def _fetch(self, span: TimeRange, *, whole_only: bool = False) -> int:
        """Download one range; with `whole_only` it counts as covered only once complete, else as far as it came."""
        added, since, covered, written = 0, span.start, span.start, time.monotonic()
        held: list[pd.DataFrame] = []
        try:
            while since < span.end:
                page = self._page(since, span)
                held.append(page)
                since = self._next(page, since)
                covered = since if len(page) else covered
                self.progress(min(since, span.end))
                if len(held) >= _BLOCK_PAGES or time.monotonic() - written > _FLUSH_SECONDS:
                    added, written = added + self._keep(held, _covered(span, covered, since, whole_only)), time.monotonic()
        finally:
            added += self._keep(held, _covered(span, covered, since, whole_only))
        return added

    def _page(self, since: datetime, span: TimeRange) -> pd.DataFrame:
        """Closed bars of one page inside the range; an empty answer is requested once more."""
        for _ in range(2):
            raw = with_retry(lambda: self.venue.page(self.key.symbol, self.key.timeframe, since), self.sleep)
            self._reached |= bool(len(raw)) and self._end is not None and candles.times_of(raw)[-1] >= self._end
            raw = raw.loc[pd.Timestamp(since) : pd.Timestamp(span.end) - timedelta(microseconds=1)]
            if len(raw):
                origin = Origin(f"{self.venue.name} {self.key.symbol} {self.key.timeframe}")
                return candles.validate(raw, self.key.timeframe, origin=origin, now=self.clock.now(), whole=False)
        return raw

    def _next(self, page: pd.DataFrame, since: datetime) -> datetime:
        if not len(page):  # an empty stretch: bars may follow it
            return since + self.venue.page_bars * self.key.timeframe.delta
        last: pd.Timestamp = candles.times_of(page)[-1]
        return last.to_pydatetime() + self.key.timeframe.delta

    def _keep(self, held: list[pd.DataFrame], covered: TimeRange) -> int:
        full = [page for page in held if len(page)]
        if not full and self.store.read(self.key) is None:
            return 0
        info = StoredInfo(source=self.key.venue, covered_from=covered.start, covered_to=covered.end)
        added = self.store.append(self.key, pd.concat(full) if full else candles.empty(), info, keep_stored=True)
        held.clear()  # not before: pages that an interruption kept out of the store would count as covered
        return added

    def _backwards(self, span: TimeRange) -> Iterator[TimeRange]:
        """Newest first, so that what is covered stays in one piece at every moment."""
        step, end = _BLOCK_PAGES * self.venue.page_bars * self.key.timeframe.delta, span.end
        while end > span.start:
            start = max(span.start, end - step)
            yield TimeRange(start, end)
            end = start

    def _finish(self, wanted: TimeRange, now: datetime) -> None:
        stored = self.store.read(self.key)
        if stored is None or not len(stored.candles):
            raise UnknownSymbol(f"{self.venue.name} has no {self.key.timeframe} candles of {self.key.symbol} before {wanted.end:%Y-%m-%d}")
        last: pd.Timestamp = candles.times_of(stored.candles)[-1]
        rest = max(2 * self.key.timeframe.delta, _QUIET)
        if not self._reached and last + rest < pd.Timestamp(wanted.end) - self.key.timeframe.delta:
            raise DownloadCutShort(
                f"candles of {self.key} end at {last:%Y-%m-%d %H:%M}, {wanted.end:%Y-%m-%d %H:%M} was requested; "
                f"they are kept: run it again later, or give an earlier end"
            )
        if wanted.end == candles.grid_floor(now, self.key.timeframe):  # complete up to now, so nothing new for a while
            covered = stored.info
            info = StoredInfo(source=self.key.venue, covered_from=covered.covered_from, covered_to=covered.covered_to, fetched_at=now)
            self.store.append(self.key, candles.empty(), info)


def _covered(span: TimeRange, covered: datetime, since: datetime, whole_only: bool) -> TimeRange:
    if not whole_only:
        return TimeRange(span.start, min(covered, span.end))
    return span if since >= span.end else TimeRange(span.end, span.end)


def with_retry(request: Callable[[], T], sleep: Sleep, *, only_busy: bool = False) -> T:
    """The answer of a synchronous request, retried where the venue does not answer, or with `only_busy` where it is over its rate limit."""
    retryable = _is_busy if only_busy else is_unreachable
    return Retry(backoff=_BACKOFF, retryable=retryable, on_retry=_log_pause).call(partial(interrupt.run, request), sleep=sleep)


def _is_busy(error: Exception) -> bool:
    return isinstance(error, VenueBusy)


def _log_pause(error: Exception, pause_s: float) -> None:
    log.event(_LOG, "download_pauses", seconds=pause_s, reason=str(error))
