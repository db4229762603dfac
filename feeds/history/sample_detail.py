"""Finer bars inside those of the sample market: a path that begins at the open, ends at the close and reaches the high and the low.

Between open and close it is a Brownian bridge, stretched above and below them to the very extremes of the bar; the volume is shared out
among the finer bars by how far each of them moves. What a bar has inside depends on its own prices, its day and the seed alone: it is the
same whatever the span that was asked for.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.schema import times_of

_DAY: Final = 86_400
_LOT: Final = 1e5  # volumes have five decimals

Floats = np.ndarray[Any, np.dtype[np.float64]]


def inside_sample(bars: pd.DataFrame, length: Timeframe, step: Timeframe, *, symbol: str, seed: int, decimals: int) -> pd.DataFrame:
    """Candles of `step` inside bars of `length`, which is a multiple of it; prices have so many decimals, as those of the bars."""
    per, opened = length.seconds // step.seconds, times_of(bars).as_unit("s").asi8
    prices, volume = bars[list(OHLCV[:4])].to_numpy(dtype=np.float64), bars["volume"].to_numpy(dtype=np.float64)
    steps, weights = _draws(opened, length.seconds, per, (seed, step.seconds, zlib.crc32(symbol.encode())))
    path = np.round(_stretched(_bridge(steps, prices), prices), decimals)
    opens, closes = path[:, :-1], path[:, 1:]
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    rows = np.arange(len(bars))
    high[rows, high.argmax(axis=1)], low[rows, low.argmin(axis=1)] = prices[:, 1], prices[:, 2]
    shares = _shared_out(volume, weights * (0.1 + (high - low) / prices[:, 3:] * 1e3))
    at = (opened[:, None] + np.arange(per) * step.seconds).reshape(-1)
    index = pd.DatetimeIndex(at.astype("datetime64[s]").astype("datetime64[ns]"), tz="UTC", name="timestamp")
    columns = zip(OHLCV, (opens, high, low, closes, shares), strict=True)
    return pd.DataFrame({name: values.reshape(-1) for name, values in columns}, index=index)


def _draws(opened: np.ndarray[Any, np.dtype[np.int64]], length: int, per: int, seed: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Steps of a walk and weights of volume, `per` for each bar: by day, each bar at its place in it."""
    slots, days, slot = max(_DAY // length, 1), opened // _DAY, opened % _DAY // length
    steps, weights = np.empty((len(opened), per)), np.empty((len(opened), per))
    for day in np.unique(days):
        draw, rows = np.random.default_rng([*seed, int(day)]), days == day
        steps[rows] = draw.standard_normal((slots, per))[slot[rows]]
        weights[rows] = draw.gamma(1.5, size=(slots, per))[slot[rows]]
    return steps, weights


def _bridge(steps: Floats, prices: Floats) -> Floats:
    """From the open to the close of each bar [B, per + 1]."""
    per, spread = steps.shape[1], (prices[:, 1] - prices[:, 2])[:, None]
    walk = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1) * spread / per**0.5
    part = np.arange(per + 1) / per
    return np.asarray(walk - walk[:, -1:] * part + prices[:, :1] + (prices[:, 3] - prices[:, 0])[:, None] * part)


def _stretched(path: Floats, prices: Floats) -> Floats:
    """With what lies above open and close stretched to the high, and what lies below to the low."""
    top, bottom = prices[:, [0, 3]].max(axis=1)[:, None], prices[:, [0, 3]].min(axis=1)[:, None]
    above, below = np.maximum(path - top, 0.0), np.maximum(bottom - path, 0.0)
    most, least = above.max(axis=1, keepdims=True), below.max(axis=1, keepdims=True)
    up = np.divide(prices[:, 1:2] - top, most, out=np.zeros_like(most), where=most > 0.0)
    down = np.divide(bottom - prices[:, 2:3], least, out=np.zeros_like(least), where=least > 0.0)
    found = np.clip(path, bottom, top) + above * up - below * down
    found[:, 0], found[:, -1] = prices[:, 0], prices[:, 3]
    return np.asarray(np.clip(found, prices[:, 2:3], prices[:, 1:2]))


def _shared_out(volume: Floats, weights: Floats) -> Floats:
    """The volume of each bar by weight; what rounding leaves goes to the heaviest."""
    parts = np.floor(volume[:, None] * weights / weights.sum(axis=1, keepdims=True) * _LOT) / _LOT
    rows = np.arange(len(volume))
    parts[rows, weights.argmax(axis=1)] += volume - parts.sum(axis=1)
    return np.asarray(np.round(parts, 5))
