"""Training targets at every bar, and where training sequences begin."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.features.bars import Bars

TARGET_CLIP: Final = 5.0
LEAST_UPDATES: Final = 48
Starts = NDArray[np.int32]


def realised(bars: Bars, horizon: int) -> NDArray[np.float64]:
    """Log return from the open of the next bar, where a decision is filled, to the close `horizon` bars ahead: [T], NaN while unknown."""
    out = np.full(len(bars), np.nan)
    if horizon < len(bars):
        out[:-horizon] = bars.log_close[horizon:] - np.log(bars.open[1 : len(bars) - horizon + 1])
    return out


def unit(bars: Bars, horizon: int) -> NDArray[np.float64]:
    """The move that is usual over `horizon` bars: trailing volatility times the root of time, [T]."""
    return bars.volatility * np.sqrt(horizon)


def targets(bars: Bars, horizons: tuple[int, ...]) -> NDArray[np.float32]:
    """Realised returns in units of what is usual, clipped: float32 [T, H], NaN while unknown."""
    columns = [realised(bars, h) / unit(bars, h) for h in horizons]
    return np.clip(np.stack(columns, axis=1), -TARGET_CLIP, TARGET_CLIP).astype(np.float32)


def draw_starts(segments: list[tuple[int, int]], *, length: int, stride: int, batch: int, updates: int, seed: int) -> Starts:
    """First rows of the training sequences of every update: int32 [updates, batch].

    One pass tiles every segment [first, last) with sequences of `length` rows, `stride` apart, from an offset of its own, in random
    order; there are as many passes as the updates need.
    """
    rng = np.random.default_rng(seed)
    rows = np.zeros(0, dtype=np.int64)
    while len(rows) < updates * batch:
        rows = np.concatenate([rows, _one_pass(rng, segments, length, stride)])
    return rows[: updates * batch].reshape(updates, batch).astype(np.int32)


def updates_per_fold(rows: int, *, stride: int, batch: int, epochs: int) -> int:
    """How many updates a window of `rows` bars is worth: enough to see each bar `epochs` times, and never too few to learn anything."""
    return max(round(rows * epochs / (stride * batch)), LEAST_UPDATES)


def _one_pass(rng: np.random.Generator, segments: list[tuple[int, int]], length: int, stride: int) -> NDArray[np.int64]:
    tiles = []
    for first, last in segments:
        offset = int(rng.integers(0, min(stride, last - first - length + 1)))
        tiles.append(np.arange(first + offset, last - length + 1, stride))
    rows = np.concatenate(tiles)
    rng.shuffle(rows)
    return rows
