"""Candles of one or several symbols as one stacked matrix of features and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import fingerprint
from models.features import FEATURES, Bars, matrix
from models.outlook import trend
from models.sequences import targets


@dataclass(frozen=True)
class Panel:
    """What folds are cut from. Row r of symbol s stands at `offset[s] + r` in the stacked arrays.

    features: float32 [N, F]; targets: float32 [N, H]; trend: [T] of each symbol. Sequences never cross from one symbol into the next,
    since training segments are given per symbol.
    """

    index: Mapping[str, pd.DatetimeIndex]
    bars: Mapping[str, Bars]
    offset: Mapping[str, int]
    names: tuple[str, ...]
    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    trend: Mapping[str, NDArray[np.float64]]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.bars)

    @classmethod
    def of(cls, candles: Mapping[str, pd.DataFrame], horizons: tuple[int, ...], names: tuple[str, ...] = ()) -> Panel:
        """Compute features and targets of every candle frame; all features of the catalogue where none are named."""
        names = names or tuple(FEATURES)
        bars = {symbol: Bars.of(frame) for symbol, frame in candles.items()}
        starts = np.cumsum([0, *(len(b) for b in bars.values())])
        return cls(
            index={symbol: pd.DatetimeIndex(frame.index) for symbol, frame in candles.items()},
            bars=bars,
            offset=dict(zip(bars, (int(s) for s in starts), strict=False)),
            names=names,
            features=np.concatenate([matrix(b, names) for b in bars.values()]),
            targets=np.concatenate([targets(b, horizons) for b in bars.values()]),
            trend={symbol: trend(b) for symbol, b in bars.items()},
        )

    def fingerprint(self, symbol: str, first: int, last: int) -> str:
        """Hash of the candles in rows [first, last) of one symbol."""
        b = self.bars[symbol]
        rows = slice(max(first, 0), last)
        return fingerprint.of_arrays(b.times[rows], b.open[rows], b.high[rows], b.low[rows], b.close[rows], b.volume[rows])
