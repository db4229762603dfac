"""What a network is trained on: targets at every bar, and where its training sequences begin."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.features import Bars

TARGET_CLIP = 5.0
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


def draw_starts(segments: list[tuple[int, int]], *, length: int, stride: int, batch: int, epochs: int, updates: int, seed: int) -> Starts:
    """First rows of the training sequences of every update: int32 [updates, batch].

    Each epoch tiles every segment [first, last) with sequences of `length` rows, `stride` apart, from an offset of its own, in random
    order. An epoch has updates // epochs batches; where the tiling gives fewer sequences some are drawn twice.
    """
    rng = np.random.default_rng(seed)
    per_epoch = updates // epochs * batch
    rows = np.concatenate([_one_epoch(rng, segments, length, stride, per_epoch) for _ in range(epochs)])
    return rows.reshape(-1, batch).astype(np.int32)


def updates_per_fold(rows: int, *, length: int, stride: int, batch: int, epochs: int) -> int:
    """How many updates a window of `rows` bars is worth."""
    sequences = max((rows - length - stride) // stride + 1, 1)
    return max(sequences // batch, 1) * epochs


def _one_epoch(rng: np.random.Generator, segments: list[tuple[int, int]], length: int, stride: int, wanted: int) -> NDArray[np.int64]:
    tiles = []
    for first, last in segments:
        offset = int(rng.integers(0, min(stride, max(last - first - length + 1, 1))))
        tiles.append(np.arange(first + offset, last - length + 1, stride))
    rows = np.concatenate(tiles)
    rng.shuffle(rows)
    if len(rows) < wanted:
        rows = np.concatenate([rows, rng.choice(rows, wanted - len(rows))])
    return rows[:wanted]


def closed_before(index: pd.DatetimeIndex, moment: pd.Timestamp) -> int:
    """How many bars opened before `moment`; with a boundary on the grid those are the ones closed by then."""
    return int(index.searchsorted(moment))
