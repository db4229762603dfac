"""Rows in order: newest first turned round, rows that two downloads share kept once, bars without a price left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.schema import PRICES, Origin
from forwardtrader.feeds.files.epochs import stands_apart


@dataclass(frozen=True)
class RawRows:
    """Rows in rising order of time where the file was sorted either way; `origin` knows the line of each."""

    frame: pd.DataFrame
    origin: Origin
    notes: tuple[str, ...] = ()

    def taken(self, places: np.ndarray, *notes: str) -> RawRows:
        """Only these rows, in this order, with further notes."""
        lines = self.origin.lines
        origin = (
            Origin(self.origin.name, places + 1, counts="row")
            if lines is None
            else Origin(self.origin.name, lines[places], self.origin.counts)
        )
        return RawRows(self.frame.iloc[places], origin, (*self.notes, *notes))


def in_order(rows: RawRows) -> RawRows:
    """The rows as candles stand: see this module."""
    return _oldest_first(_once(_with_prices(rows)))


def of_timeframe(parts: Sequence[RawRows], timeframe: Timeframe) -> Sequence[RawRows]:
    """Of several files those whose rows stand a timeframe apart, where others do not: a venue packs all its timeframes into one archive."""
    step = timeframe.seconds * 10**9
    fitting = [part for part in parts if len(part.frame) < 3 or stands_apart(np.asarray(part.frame.index.as_unit("ns").asi8), step)]  # type: ignore[attr-defined]
    longer = [part for part in fitting if len(part.frame) >= 3]
    if not longer or len(fitting) == len(parts):
        return parts
    note = f"{len(parts) - len(longer)} of {len(parts)} files in the archive are of other timeframes, left out"
    return [replace(part, notes=(*part.notes, note)) for part in longer]


def joined(parts: Sequence[RawRows], name: str) -> RawRows:
    """Several files of one series as one. Their rows may overlap where they are identical.

    Raises:
        CandleFileInvalid: two of them give one time different values.
    """
    if len(parts) == 1:
        return parts[0]
    ordered = sorted(parts, key=lambda part: part.frame.index[0])
    frame = pd.concat([part.frame for part in ordered]).sort_index(kind="stable")
    notes = tuple(dict.fromkeys(note for part in ordered for note in part.notes))
    rows = _once(
        RawRows(
            frame, Origin(name, np.arange(1, len(frame) + 1), counts="row"), (*notes, f"{len(parts)} files of the archive are read as one")
        )
    )
    twice = np.flatnonzero(rows.frame.index.duplicated())
    if len(twice):
        raise CandleFileInvalid(
            f"{name}: files of the archive disagree at {rows.frame.index[twice[0]]:%Y-%m-%d %H:%M}, as those of two markets or timeframes "
            "would; unpack it and name one"
        )
    return rows


def _with_prices(rows: RawRows) -> RawRows:
    """Bars without any price are those in which nothing was traded; missing bars are listed later."""
    empty = rows.frame[list(PRICES)].isna().to_numpy().all(axis=1)
    if not empty.any() or empty.all():
        return rows
    return rows.taken(np.flatnonzero(~empty), f"{_rows(int(empty.sum()))} without any price left out")


def _once(rows: RawRows) -> RawRows:
    index = rows.frame.index
    if index.is_unique:
        return rows
    keys = rows.frame[list(OHLCV)].assign(_at=np.asarray(index.asi8))  # type: ignore[attr-defined]
    again = keys.astype(object).duplicated().to_numpy() if "O" in {kind.kind for kind in keys.dtypes} else keys.duplicated().to_numpy()
    if not again.any():
        return rows
    count = int(again.sum())
    return rows.taken(np.flatnonzero(~again), f"{_rows(count)} repeated identically, read once")


def _oldest_first(rows: RawRows) -> RawRows:
    index = rows.frame.index
    if len(index) < 2 or not index.is_monotonic_decreasing or index[0] == index[-1]:
        return rows
    return replace(rows.taken(np.arange(len(index) - 1, -1, -1)), notes=rows.notes)


def _rows(number: int) -> str:
    return f"{number:,} row" + ("" if number == 1 else "s")
