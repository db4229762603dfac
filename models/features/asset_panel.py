"""The bars of all symbols of a run, seen from the bars of one: what a cross-asset feature is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import UnknownSymbol
from forwardtrader.models.features.bars import Bars


class AssetPanel(Mapping[str, Bars]):
    """`panel["BTC/USDT"]`: that symbol's bars at the times of one's own, row by row.

    A row holds the bar that opened at the very time of one's own bar, so none is seen before it is closed. Where the symbol has no such
    bar, in a gap, before its first bar or after its last, all columns are NaN.

    Attributes:
        missing: bool [T], the rows at which a symbol that was asked for has no bar.
    """

    def __init__(self, times: NDArray[np.int64], step: int, peers: Mapping[str, Bars]) -> None:
        self.missing = np.zeros(len(times), dtype=bool)
        self._times = times
        self._step = step
        self._peers = peers

    def __getitem__(self, symbol: str) -> Bars:
        if symbol not in self._peers:
            there = f"; it has {', '.join(self._peers)}" if self._peers else ""
            raise UnknownSymbol(f"panel[{symbol!r}]: the run has no such symbol{there}; name it under feeds.symbols")
        (opened, high, low, close, volume), known = at_times(self._peers[symbol], self._times)
        self.missing |= ~known
        return Bars(self._times, opened, high, low, close, volume, step=self._step)

    def __iter__(self) -> Iterator[str]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)


def at_times(bars: Bars, times: NDArray[np.int64]) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """Open, high, low, close and volume of the bars that opened at `times`, NaN where none did; and where one did."""
    rows = np.minimum(np.searchsorted(bars.times, times), max(len(bars) - 1, 0))
    known = bars.times[rows] == times if len(bars) else np.zeros(len(times), dtype=bool)
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [np.where(known, column[rows], np.nan) if len(bars) else np.full(len(times), np.nan) for column in columns], known
