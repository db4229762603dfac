"""Finer bars inside the bars of one symbol, and which of them a feed is at.

A strategy decides at the close of a bar and its market orders are filled at the next one's open, with finer bars or without. What rests is
met by the finer bars one after the other, and so is an account on margin by their marks: a stop and a target that one bar touches both
are filled in the order in which the price came to them. A bar whose finer ones are not known is met as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forwardtrader.strategies.margin.series import MarkBar

Floats = NDArray[np.float64]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class InnerBar:
    """One finer bar.

    Attributes:
        at: its open time, UTC epoch seconds.
        traded: whether anything was traded in it.
        mark: a perpetual's marks; None where they are not known, and those of the whole bar are gone by.
    """

    at: float
    open: float
    high: float
    low: float
    close: float
    volume: float
    traded: bool
    mark: MarkBar | None = None


@dataclass(frozen=True)
class DetailSeries:
    """The finer bars of a past market.

    `opened` holds the open times of the bars that have some [B], `first` the place of the first finer one of each, and of the end [B + 1];
    `at` the open times of the finer bars [N], `prices` their open, high, low, close and volume [N, 5], `traded` whether anything was [N],
    and `marks` open, high, low and close of the mark [N, 4], NaN where it is not known, or [0, 4] where it nowhere is. Times are UTC epoch
    seconds, in order.
    """

    opened: Floats
    first: NDArray[np.int64]
    at: Floats
    prices: Floats
    traded: NDArray[np.bool_]
    marks: Floats

    def has(self, opened: float) -> bool:
        """Whether there are any inside the bar that opened then."""
        return opened in self._places

    def has_marks(self, opened: float) -> bool:
        """Whether the marks inside the bar that opened then are known."""
        place = self._places.get(opened)
        return place is not None and len(self.marks) > 0 and not np.isnan(self.marks[self.first[place], 0])

    def inside(self, opened: float) -> list[InnerBar]:
        """Those inside the bar that opened then; none where they are not known."""
        place = self._places.get(opened)
        if place is None:
            return []
        rows = slice(int(self.first[place]), int(self.first[place + 1]))
        known = self.has_marks(opened)
        marks: Iterable[MarkBar | None] = (MarkBar(*row) for row in self.marks[rows].tolist()) if known else repeat(None)
        columns = zip(self.at[rows].tolist(), *self.prices[rows].T.tolist(), self.traded[rows].tolist(), marks, strict=False)
        return [InnerBar(*values) for values in columns]

    @cached_property
    def _places(self) -> dict[float, int]:
        return {opened: place for place, opened in enumerate(self.opened.tolist())}


def in_order(inside: Mapping[Key, Sequence[InnerBar]]) -> Iterator[dict[Key, InnerBar]]:
    """The finer bars of several symbols as time passes: those that open together."""
    due: dict[float, dict[Key, InnerBar]] = {}
    for key, bars in inside.items():
        for bar in bars:
            due.setdefault(bar.at, {})[key] = bar
    for at in sorted(due):
        yield due[at]


def may_touch(*, buys: bool, stops: bool, price: float, low: float, high: float) -> bool:
    """Whether a bar reaches the price of a stop or limit order; else none of its finer bars does."""
    return high >= price if buys == stops else low <= price


def inner_of(data: object) -> InnerBar | None:
    """The finer bar that a feed is at while a broker goes through those of its newest bar; None outside of that."""
    bar: InnerBar | None = getattr(data, "inner_bar", None)
    return bar
