"""Candles: one bar, the series of a symbol, and its aggregation to longer intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from forwardtrader.sandbox.orders.order import ZERO

MONDAY_MS: Final = 4 * 86_400_000  # 1970-01-05, the first Monday: weeks are counted from it
WEEK_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar; `start` is its open time in milliseconds UTC, `volume` in base units."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int = 1

    @property
    def quote_volume(self) -> Decimal:
        """Volume in quote units, estimated at the middle of open and close: candle files have no turnover column."""
        return self.volume * (self.open + self.close) / 2


def interval_start(at: int, length: int) -> int:
    """Open time of the interval of `length` milliseconds that holds `at`."""
    origin = MONDAY_MS if length % WEEK_MS == 0 else 0
    return at - (at - origin) % length


def joined(parts: Sequence[Candle], start: int) -> Candle:
    """One candle from its parts in order of time."""
    return Candle(
        start,
        parts[0].open,
        max(p.high for p in parts),
        min(p.low for p in parts),
        parts[-1].close,
        sum((p.volume for p in parts), ZERO),
        sum(p.trades for p in parts),
    )


class CandleBook:
    """Candle series of one symbol: the closed candles of the base interval, the running one, longer intervals on demand."""

    def __init__(self, base_ms: int, closed: Iterable[Candle] = ()) -> None:
        self.base_ms = base_ms
        self.closed = list(closed)
        self.running: Candle | None = None
        self._longer: dict[int, list[Candle]] = {}

    def close(self, candle: Candle) -> None:
        self.closed.append(candle)
        self.running = None
        for length, candles in self._longer.items():
            _extend(candles, candle, length)

    def candles(self, length: int) -> list[Candle]:
        """Every candle of `length` milliseconds, oldest first, the running one last."""
        closed = self.closed if length == self.base_ms else self._aggregated(length)
        if self.running is None:
            return closed
        if length == self.base_ms:
            return [*closed, self.running]
        head = closed[-1] if closed else None
        start = interval_start(self.running.start, length)
        if head is not None and head.start == start:
            return [*closed[:-1], joined([head, self.running], start)]
        return [*closed, joined([self.running], start)]

    def at(self, moment: int, length: int) -> Candle | None:
        """The candle of `length` that holds `moment`, among the newest ones."""
        start = interval_start(moment, length)
        newest = (self.closed if length == self.base_ms else self._aggregated(length))[-3:]
        whole = next((c for c in reversed(newest) if c.start == start), None)
        if self.running is None or interval_start(self.running.start, length) != start:
            return whole
        return joined([whole, self.running] if whole else [self.running], start)

    def closes_with(self, candle: Candle, length: int) -> bool:
        """Whether the end of base candle `candle` is also the end of its interval of `length`."""
        end = candle.start + self.base_ms
        return interval_start(end, length) != interval_start(candle.start, length)

    def _aggregated(self, length: int) -> list[Candle]:
        if length not in self._longer:
            candles: list[Candle] = []
            for candle in self.closed:
                _extend(candles, candle, length)
            self._longer[length] = candles
        return self._longer[length]


def _extend(candles: list[Candle], candle: Candle, length: int) -> None:
    start = interval_start(candle.start, length)
    if candles and candles[-1].start == start:
        candles[-1] = joined([candles[-1], candle], start)
    else:
        candles.append(joined([candle], start))
