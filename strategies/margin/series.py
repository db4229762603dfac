"""What a perpetual has beside its candles: mark prices by bar, and funding rates by the time at which they are settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Of most venues: what longs pay shorts each eight hours where the perpetual stands where spot does.
ASSUMED_RATE: Final = 0.0001
USUAL_HOURS: Final = 8


@dataclass(frozen=True, slots=True)
class MarkBar:
    """Mark prices of one bar."""

    open: float
    high: float
    low: float
    close: float

    def worst(self, size: float) -> float:
        """The mark that is worst for a position of `size` units."""
        return self.low if size > 0.0 else self.high


class PerpetualFacts(Protocol):
    """Marks and funding of one symbol, as far as they are known. Times are UTC epoch seconds."""

    def mark(self, opened: float) -> MarkBar | None:
        """Mark prices of the bar that opened at `opened`; None where they are not known, and the last price stands for them."""
        ...

    def settlements(self, after: float, before: float) -> Iterable[float]:
        """Funding rates settled at times in [after, before), in order."""
        ...


@dataclass(frozen=True, slots=True)
class AssumedFacts:
    """What stands for the facts of a perpetual of which none are given: the last price for the mark, and a usual rate at usual times."""

    hours: int

    def mark(self, opened: float) -> MarkBar | None:
        return None

    def settlements(self, after: float, before: float) -> list[float]:
        return [ASSUMED_RATE * self._hours / USUAL_HOURS] * len(self.times(after, before))

    def times(self, after: float, before: float) -> Floats:
        """Multiples of the hours since 1970 in [after, before)."""
        step = self._hours * 3600.0
        return np.asarray(np.arange(np.ceil(after / step), np.ceil(before / step)) * step, dtype=np.float64)

    def over(self, opened: Floats, length: float) -> PerpetualSeries:
        """The same for past bars that opened at these times, each `length` seconds long."""
        times = self.times(opened[0], opened[-1] + length) if len(opened) else np.zeros(0)
        rate = ASSUMED_RATE * self._hours / USUAL_HOURS
        return PerpetualSeries(opened, np.full((len(opened), 4), np.nan), times, np.full(len(times), rate))

    @property
    def _hours(self) -> int:
        return self.hours or USUAL_HOURS


@dataclass(frozen=True)
class PerpetualSeries:
    """Facts of a past market.

    `opened` holds bar-open times [T], `marks` open, high, low and close [T, 4] with NaN where they are not known, `settled` times of
    settlement [F] and `rates` the shares of the position's value that longs pay shorts [F]; all in order of time.
    """

    opened: Floats
    marks: Floats
    settled: Floats
    rates: Floats

    def mark(self, opened: float) -> MarkBar | None:
        row = int(np.searchsorted(self.opened, opened))
        if row == len(self.opened) or self.opened[row] != opened or np.isnan(self.marks[row]).any():
            return None
        return MarkBar(*(float(price) for price in self.marks[row]))

    def table(self, opened: Floats) -> Floats:
        """Open, high, low and close of the marks at these bar-open times [N, 4], NaN where they are not known."""
        found = np.full((len(opened), 4), np.nan)
        if len(self.opened):
            row = np.minimum(np.searchsorted(self.opened, opened), len(self.opened) - 1)
            known = self.opened[row] == opened
            found[known] = self.marks[row[known]]
        return found

    def settlements(self, after: float, before: float) -> list[float]:
        first, last = (int(place) for place in np.searchsorted(self.settled, (after, before)))
        return [float(rate) for rate in self.rates[first:last]]
