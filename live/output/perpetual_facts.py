"""Marks and funding of the perpetuals of a session, as the venue publishes them: kept in the session's file, by which a replay goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Final, Protocol

import pandas as pd

from forwardtrader.core.errors import TradingError
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.live.sqlite_file import SqliteFile
from forwardtrader.strategies.margin.series import AssumedFacts, MarkBar

SCHEMA: Final = """
create table if not exists perpetual_marks (
    symbol text not null, at integer not null, open real, high real, low real, close real, primary key (symbol, at)) without rowid;
create table if not exists perpetual_funding (symbol text not null, at integer not null, rate real, primary key (symbol, at)) without rowid;
"""
PRICES: Final = OHLCV[:4]
_MOST_PAGES: Final = 1000
_NO_MARK: Final = (math.nan,) * 4
_MINUTE_MS: Final = 60_000  # no two settlements are nearer to each other
_PAUSE_S: Final = 60.0  # after a venue did not answer


class MarkVenue(Protocol):
    """A venue's candles of mark prices. Raises TradingError."""

    def page(self, symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame: ...


class FactVenue(Protocol):
    """What a venue publishes of perpetuals. Raises TradingError."""

    def of_marks(self) -> MarkVenue: ...

    def funding_page(self, symbol: str, since: datetime, until: datetime) -> pd.Series[float]: ...


class FactTable:
    """Marks by bar and funding rates by settlement time, both in milliseconds UTC. A mark without prices is one that was not to be had."""

    def __init__(self, db: SqliteFile) -> None:
        self._db = db

    def keep(self, symbol: str, marks: Iterable[tuple[int, float, float, float, float]], rates: Iterable[tuple[int, float]]) -> None:
        """Add what is not known yet."""
        with self._db.transaction():
            self._db.run_many("insert or ignore into perpetual_marks values (?, ?, ?, ?, ?, ?)", [(symbol, *mark) for mark in marks])
            self._db.run_many("insert or ignore into perpetual_funding values (?, ?, ?)", [(symbol, *rate) for rate in rates])

    def mark(self, symbol: str, at: int) -> tuple[float, ...] | None:
        """Open, high, low and close of one bar's mark; None where the bar was not asked for."""
        row = self._db.one("select open, high, low, close from perpetual_marks where symbol = ? and at = ?", symbol, at)
        return None if row is None else tuple(math.nan if price is None else float(price) for price in row)

    def rates(self, symbol: str, after: int, before: int) -> list[float]:
        """Rates settled at times in [after, before)."""
        sql = "select rate from perpetual_funding where symbol = ? and at >= ? and at < ? order by at"
        return [float(row[0]) for row in self._db.all(sql, symbol, after, before)]

    def newest(self, symbol: str) -> int | None:
        """The newest bar whose mark was asked for."""
        [(at,)] = self._db.all("select max(at) from perpetual_marks where symbol = ?", symbol)
        return None if at is None else int(at)

    def newest_rate(self, symbol: str) -> int | None:
        """The newest settlement whose rate is known."""
        [(at,)] = self._db.all("select max(at) from perpetual_funding where symbol = ?", symbol)
        return None if at is None else int(at)

    def marks(self, symbol: str) -> pd.DataFrame:
        """Every mark that is known, by the bar's open time."""
        sql = "select at, open, high, low, close from perpetual_marks where symbol = ? and open is not null order by at"
        rows = self._db.all(sql, symbol)
        return pd.DataFrame([row[1:] for row in rows], columns=list(PRICES), index=_times(row[0] for row in rows), dtype="float64")

    def funding(self, symbol: str) -> pd.Series[float]:
        """Every rate, by its settlement time."""
        rows = self._db.all("select at, rate from perpetual_funding where symbol = ? order by at", symbol)
        return pd.Series([float(row[1]) for row in rows], index=_times(row[0] for row in rows), name="rate", dtype="float64")


class SessionFacts:
    """Marks and funding of one perpetual over a session: `PerpetualFacts` for a paper account. What was used once is used again.

    Where the venue does not answer the last price stands for the mark, and the usual rate for funding.

    Args:
        since: open time (ms UTC) of the session's first bar; nothing is known of earlier ones.
        known: open time (ms UTC) of the newest bar that an earlier process recorded: up to it nothing is asked any more.
        hours: between two settlements as a rule.
        missing: called with the reason where something is not to be had, once until it is.
    """

    def __init__(
        self, symbol: str, timeframe: Timeframe, table: FactTable, venue: FactVenue, *, since: int, known: int | None, hours: int,
        missing: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._symbol, self._timeframe, self._table = symbol, timeframe, table
        self._venue, self._marks = venue, venue.of_marks()
        self._since, self._known = since, -1 if known is None else known
        self._assumed = AssumedFacts(hours)
        self._missing = missing
        self._is_missing = False
        self._completed = -1  # the bar up to which everything was asked for

    def mark(self, opened: float) -> MarkBar | None:
        """Mark prices of the bar that opened at `opened` (UTC epoch seconds); None where they are not known."""
        at = round(opened * 1000)
        if at < self._since:
            return None
        found = self._table.mark(self._symbol, at)
        if found is None and at > self._known:
            found = self._asked(at)
        return None if found is None or math.isnan(found[0]) else MarkBar(*found)

    def settlements(self, after: float, before: float) -> list[float]:
        """Funding rates settled at times in [after, before), UTC epoch seconds."""
        first, last = max(round(after * 1000), self._since), round(before * 1000)
        if last - 1 > self._known and first < last:
            self._table.keep(self._symbol, (), self._settled(first, last))
        return self._table.rates(self._symbol, first, last)

    def complete(self, upto: int) -> bool:
        """Keep what the venue publishes from the newest that is known up to a bar (ms UTC); False where it does not answer."""
        if upto <= self._completed:
            return True
        try:
            self._complete_marks(upto)
            self._complete_rates(upto + self._length)
        except TradingError as error:
            self._lacks(error)
            return False
        self._completed = upto
        return True

    def _complete_marks(self, upto: int) -> None:
        newest = self._table.newest(self._symbol)
        at = self._since if newest is None else newest + self._length
        for _ in range(_MOST_PAGES):
            if at > upto or not (rows := self._page(at, upto)):
                return
            self._table.keep(self._symbol, rows, ())
            at = rows[-1][0] + self._length

    def _complete_rates(self, before: int) -> None:
        """From the newest rate on, not from the newest mark: a venue may publish a rate some time after its settlement."""
        newest = self._table.newest_rate(self._symbol)
        at = self._since if newest is None else newest + _MINUTE_MS
        for _ in range(_MOST_PAGES):
            if at >= before or not (rates := self._published(at, before)):
                return
            self._table.keep(self._symbol, (), rates)
            at = rates[-1][0] + _MINUTE_MS

    def _lacks(self, error: TradingError) -> None:
        if not self._is_missing:
            self._missing(str(error))
        self._is_missing = True

    def _asked(self, at: int) -> tuple[float, ...]:
        try:
            rows = self._page(at, at)
        except TradingError as error:
            self._lacks(error)
            rows = []
        found = rows[0][1:] if rows else _NO_MARK
        self._table.keep(self._symbol, [(at, *found)], ())
        return found

    def _page(self, at: int, upto: int) -> list[tuple[int, float, float, float, float]]:
        frame = self._marks.page(self._symbol, self._timeframe, _moment(at))
        self._is_missing = False
        times = (pd.DatetimeIndex(frame.index).as_unit("ns").asi8 // 1_000_000).tolist()
        columns = (frame[name].tolist() for name in PRICES)
        return [row for row in zip(times, *columns, strict=True) if at <= row[0] <= upto]

    def _settled(self, first: int, last: int) -> list[tuple[int, float]]:
        """The rates of [first, last) as published; where the venue does not answer, the usual ones."""
        try:
            return self._published(first, last)
        except TradingError as error:
            self._lacks(error)
            times = self._assumed.times(first / 1000, last / 1000)
            rates = self._assumed.settlements(first / 1000, last / 1000)
            return [(round(at * 1000), rate) for at, rate in zip(times.tolist(), rates, strict=True)]

    def _published(self, first: int, last: int) -> list[tuple[int, float]]:
        found = self._venue.funding_page(self._symbol, _moment(first), _moment(last))
        times_ms = (pd.DatetimeIndex(found.index).as_unit("ns").asi8 // 1_000_000).tolist()
        return [(at, rate) for at, rate in zip(times_ms, found.tolist(), strict=True) if first <= at < last]

    @property
    def _length(self) -> int:
        return self._timeframe.seconds * 1000


class FactKeeping:
    """Keeps marks and funding of a session with real orders as the venue publishes them. Its account needs none of them, its replay does.

    Args:
        upto: the newest bar (ms UTC); None before the first.
    """

    def __init__(
        self, facts: Collection[SessionFacts], upto: Callable[[], int | None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._facts, self._upto, self._monotonic = facts, upto, monotonic
        self._due = -math.inf

    def keep(self, *, last: bool = False) -> None:
        """Keep what is not known yet. A venue that does not answer is left alone for a while, unless it is the last time."""
        upto, now = self._upto(), self._monotonic()
        if upto is None or (now < self._due and not last):
            return
        if not all(each.complete(upto) for each in self._facts):
            self._due = now + _PAUSE_S


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _times(moments: Iterable[int]) -> pd.DatetimeIndex:
    return pd.to_datetime(list(moments), unit="ms", utc=True).as_unit("ns")
