"""Running order statistics of the newest values: exact, whatever came before them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable


class RunningQuantile:
    """A quantile of the newest `window` values; with an odd window the median is one of them.

    The same values give the same bits, however they came: it is an order statistic and no running sum.
    """

    def __init__(self, window: int, share: float = 0.5) -> None:
        self._share = share
        self._values: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Take in the next value; the oldest one leaves a full window."""
        if len(self._values) == self._values.maxlen:
            del self._sorted[bisect_left(self._sorted, self._values[0])]
        self._values.append(value)
        insort(self._sorted, value)

    @property
    def value(self) -> float:
        """The quantile; 0 while there are no values."""
        return self._sorted[int(self._share * (len(self._sorted) - 1))] if self._sorted else 0.0

    def as_list(self) -> list[float]:
        """The values, oldest first."""
        return list(self._values)

    def restore(self, values: Iterable[float]) -> None:
        """Go on from what `as_list` gave."""
        self._values.clear()
        self._values.extend(float(value) for value in values)
        self._sorted = sorted(self._values)
