"""The bars of all symbols of a run, seen from the bars of one: what a cross-asset feature is given, in a backtest and bar by bar."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import UnknownSymbol
from forwardtrader.models.features.bars import Bars

Row = tuple[float, float, float, float, float]  # open, high, low, close and volume of one bar


class AssetPanel(Mapping[str, Bars]):
    """`panel["BTC/USDT"]`: that symbol's bars at the times of one's own, row by row.

    A row holds the bar that opened at the very time of one's own bar, so none is seen before it is closed. Where the symbol has no such
    bar, in a gap, before its first bar or after its last, all columns are NaN. So it is in a live session, which decided without it, where
    it came later than one's own (`Bars.late`). Symbols come in the order of their names, in training as live.

    Attributes:
        missing: bool [T], the rows at which a symbol that was asked for has no bar.
    """

    def __init__(self, own: Bars) -> None:
        self.missing = np.zeros(len(own), dtype=bool)
        self._own = own

    def __getitem__(self, symbol: str) -> Bars:
        own = self._own
        if symbol not in own.peers:
            there = f"; it has {', '.join(own.peers)}" if own.peers else ""
            raise UnknownSymbol(f"panel[{symbol!r}]: the run has no such symbol{there}; name it under feeds.symbols")
        (opened, high, low, close, volume), known = beside(own, own.peers[symbol])
        self.missing |= ~known
        return Bars(own.times, opened, high, low, close, volume, step=own.step)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._own.peers))

    def __len__(self) -> int:
        return len(self._own.peers)


def beside(own: Bars, peer: Bars) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    """Open, high, low, close and volume of another symbol at one's own bars, NaN where it had none; and where it had one."""
    rows = np.minimum(np.searchsorted(peer.times, own.times), max(len(peer) - 1, 0))
    known = peer.times[rows] == own.times if len(peer) else np.zeros(len(own), dtype=bool)
    if peer.late is not None and len(peer):
        known &= peer.late[rows] <= (0 if own.late is None else own.late)
    columns = (peer.open, peer.high, peer.low, peer.close, peer.volume)
    return [np.where(known, column[rows], np.nan) if len(peer) else np.full(len(own), np.nan) for column in columns], known


def among(symbol: str, own: Bars, peers: Mapping[str, Bars]) -> Bars:
    """The newest bars of a symbol, a part of those that `peers` has of it, with all peers beside them.

    The newest one may be younger than all of `peers`: what they have of its time came before it.
    """
    known = peers.get(symbol)
    if known is None or known.late is None:
        return replace(own, peers=peers)
    rows = np.minimum(np.searchsorted(known.times, own.times), len(known) - 1)
    late = np.where(known.times[rows] == own.times, known.late[rows], np.iinfo(np.int64).max)
    return replace(own, peers=peers, late=late)


class PeerRows:
    """The bars of the other symbols at the newest ones of a symbol, as they were at hand when each of these closed.

    Args:
        symbol: whose bars they stand beside.
        length: how many of the newest bars are kept.
    """

    def __init__(self, symbol: str, length: int) -> None:
        self._symbol = symbol
        self._length = length
        self._rows: dict[str, deque[Row | None]] = {}

    def fill(self, own: Bars, peers: Mapping[str, Bars], newest: Mapping[str, Row]) -> Bars:
        """Start from the bars of all symbols before the newest one of one's own, and what opened with that; `own` with its peers."""
        seen = among(self._symbol, own, peers)
        self._rows = {}
        for symbol, bars in peers.items():
            columns, known = beside(seen, bars)
            rows = [
                row if is_known else None for row, is_known in zip(zip(*(c.tolist() for c in columns), strict=True), known, strict=True)
            ]
            self._rows[symbol] = deque((*rows[:-1], newest.get(symbol, rows[-1])), maxlen=max(self._length, len(rows)))
        return self.around(own)

    def follow(self, newest: Mapping[str, Row]) -> None:
        """Take in what opened together with the bar after the newest one."""
        for symbol, rows in self._rows.items():
            rows.append(newest.get(symbol))

    def around(self, own: Bars) -> Bars:
        """The newest bars of the symbol with those of all symbols beside them."""
        return replace(own, peers={symbol: own if symbol == self._symbol else self._of(own, rows) for symbol, rows in self._rows.items()})

    @staticmethod
    def _of(own: Bars, rows: deque[Row | None]) -> Bars:
        newest = list(rows)[-len(own) :]
        known = np.array([row is not None for row in newest], dtype=bool)
        table = np.array([row for row in newest if row is not None], np.float64).reshape(-1, 5)
        opened, high, low, close, volume = np.ascontiguousarray(table.T)
        return Bars(own.times[known], opened, high, low, close, volume, step=own.step)
