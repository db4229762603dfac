"""What a perpetual has beside its candles: mark prices by bar, and funding rates by the time at which they are settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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

    def settlements(self, after: float, before: float) -> list[float]:
        first, last = (int(place) for place in np.searchsorted(self.settled, (after, before)))
        return [float(rate) for rate in self.rates[first:last]]
