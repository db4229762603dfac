"""Sequencing of closed bars: in order, each exactly once. Pure; times are milliseconds UTC."""

from __future__ import annotations

from enum import Enum

from forwardtrader.feeds.candles.bar import Bar


class Arrival(Enum):
    """Position of a closed bar relative to the last one delivered."""

    NEXT = "next"
    EARLY = "early"  # bars before it are missing
    REPEATED = "repeated"
    REVISED = "revised"  # delivered before with other numbers: logged, never delivered again
    OLD = "old"


class BarSequence:
    """The sequence state of one symbol: the last bar delivered.

    Args:
        step: length of a bar in milliseconds.
        last: open time of the last bar that was delivered elsewhere, or None.
    """

    def __init__(self, step: int, last: int | None = None) -> None:
        self.step = step
        self.last = last
        self._bar: Bar | None = None

    @property
    def due(self) -> int | None:
        """Open time of the bar that comes next."""
        return None if self.last is None else self.last + self.step

    def arrival(self, bar: Bar) -> Arrival:
        """Classify `bar` without changing the state."""
        if self.last is None or bar.at == self.last + self.step:
            return Arrival.NEXT
        if bar.at > self.last:
            return Arrival.EARLY
        if bar.at < self.last:
            return Arrival.OLD
        return Arrival.REPEATED if self._bar is None or bar == self._bar else Arrival.REVISED

    def deliver(self, bar: Bar) -> int:
        """Record `bar` as delivered; returns how many bars before it are missing for good.

        Raises:
            ValueError: it is not newer than the last one.
        """
        if self.last is not None and bar.at <= self.last:
            raise ValueError(f"bar {bar.at} is not newer than {self.last}")
        missing = 0 if self.last is None else (bar.at - self.last) // self.step - 1
        self.last, self._bar = bar.at, bar
        return missing
