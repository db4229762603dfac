"""Finer candles held against the bars that they make up.

A bar goes by its finer ones only where these are all of it: they begin at its open, end at its close, reach its high and its low and no
further, and their volumes add up to its own. A finer one that is missing then had no trade in it, which many venues leave out. Where
volumes are not known, none may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.schema import PRICES, times_of

_SAME_PRICE: Final = 1e-9  # as shares: a price may be read to another last digit, and sums of volumes differ more
_SAME_VOLUME: Final = 1e-6

Floats = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class InsideCandles:
    """The finer candles of those bars that they make up.

    Attributes:
        candles: the finer ones [N], as in `feeds.candles.schema`, within the extremes of their bars to the last digit.
        bar: for each the row of the bar that it is inside of [N].
        missing, disagreeing: how many bars lack finer ones, and how many are not what theirs make up.
        fault: one line on the first of those that disagree; "" where none does.
    """

    candles: pd.DataFrame
    bar: Rows
    missing: int
    disagreeing: int
    fault: str


def inside_candles(bars: pd.DataFrame, length: Timeframe, finer: pd.DataFrame, step: Timeframe) -> InsideCandles:
    """Hold finer candles of `step` against bars of `length`; both frames as in `feeds.candles.schema`."""
    finer, bar = _within(bars, length, finer)
    theirs, own, known = _made(finer, bar), _values(bars), np.unique(bar)
    has_volume = bool(own[:, 4].any() and theirs[:, 4].any())
    own, count = own[known], np.bincount(bar, minlength=len(bars))[known]
    is_same = np.isclose(theirs, own, rtol=_SAME_PRICE, atol=0.0)
    is_same[:, 4] = np.isclose(theirs[:, 4], own[:, 4], rtol=_SAME_VOLUME, atol=0.0) | (not has_volume)
    is_whole = (count == length.seconds // step.seconds) | (has_volume & (own[:, 4] > 0.0))
    agrees = is_same.all(axis=1)
    lacks = ~agrees & (count < length.seconds // step.seconds) | (agrees & ~is_whole)
    kept = np.isin(bar, known[agrees & is_whole])
    wrong = np.flatnonzero(~agrees & ~lacks)
    fault = _fault(times_of(bars)[known[wrong[0]]], own[wrong[0]], theirs[wrong[0]], is_same[wrong[0]]) if len(wrong) else ""
    return InsideCandles(
        candles=_exact(finer.loc[kept], bar[kept], bars), bar=bar[kept], missing=len(bars) - len(known) + int(lacks.sum()),
        disagreeing=len(wrong), fault=fault,
    )  # fmt: skip


def made_up(finer: pd.DataFrame, bar: Rows, bars: pd.DataFrame) -> Flags:
    """Which rows of `bars` [B] have the open, high, low and close that their finer ones make up, none of which may be NaN."""
    same = np.zeros(len(bars), dtype=bool)
    if len(bar):
        theirs = _made(finer.assign(volume=0.0), bar)[:, :4]
        own = bars[list(PRICES)].to_numpy(dtype=np.float64)[np.unique(bar)]
        same[np.unique(bar)] = np.isclose(theirs, own, rtol=_SAME_PRICE, atol=0.0).all(axis=1)
    return same


def _within(bars: pd.DataFrame, length: Timeframe, finer: pd.DataFrame) -> tuple[pd.DataFrame, Rows]:
    """The finer candles that open inside a bar, and its row."""
    opened, at = (times_of(frame).as_unit("ns").asi8 for frame in (bars, finer))
    bar = np.searchsorted(opened, at, side="right") - 1
    is_inside = (bar >= 0) & (at < opened[np.maximum(bar, 0)] + length.seconds * 1_000_000_000)
    return finer.loc[is_inside, list(OHLCV)], bar[is_inside]


def _made(finer: pd.DataFrame, bar: Rows) -> Floats:
    """Open, high, low, close and volume of the bars that finer ones make up, in order."""
    if not len(bar):
        return np.zeros((0, 5))
    values, begins = _values(finer), np.flatnonzero(np.diff(bar, prepend=-1))
    ends = np.append(begins[1:], len(bar)) - 1
    high, low = np.maximum.reduceat(values[:, 1], begins), np.minimum.reduceat(values[:, 2], begins)
    volume = np.add.reduceat(values[:, 4], begins)
    return np.column_stack([values[begins, 0], high, low, values[ends, 3], volume])


def _values(frame: pd.DataFrame) -> Floats:
    values = frame[list(OHLCV)].to_numpy(dtype=np.float64, copy=True)
    values[:, 4] = np.nan_to_num(values[:, 4])
    return values


def _exact(finer: pd.DataFrame, bar: Rows, bars: pd.DataFrame) -> pd.DataFrame:
    """Within the extremes of the bars to the last digit, so that what they do not reach none inside them does."""
    own, values, made = _values(bars), _values(finer), np.zeros((len(bars), 5))
    made[np.unique(bar)] = _made(finer, bar)
    is_top, is_bottom = values[:, 1] == made[bar, 1], values[:, 2] == made[bar, 2]
    values[is_top, 1], values[is_bottom, 2] = own[bar[is_top], 1], own[bar[is_bottom], 2]
    values[:, :4] = np.clip(values[:, :4], own[bar, 2][:, None], own[bar, 1][:, None])
    is_first, is_last = np.diff(bar, prepend=-1) > 0, np.diff(bar, append=len(bars)) > 0
    values[is_first, 0], values[is_last, 3] = own[bar[is_first], 0], own[bar[is_last], 3]
    return pd.DataFrame(values, index=finer.index, columns=list(OHLCV))


def _fault(at: pd.Timestamp, own: Floats, theirs: Floats, is_same: Flags) -> str:
    name = int(np.flatnonzero(~is_same)[0])
    return f"that of {at:%Y-%m-%d %H:%M} has a {OHLCV[name]} of {own[name]:.8g}, and they make one of {theirs[name]:.8g}"
