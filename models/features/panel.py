"""A panel: candles of one or several symbols as one stacked matrix of features and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.models.features.catalogue import Bars, all_names, matrix
from forwardtrader.models.features.sequences import targets


@dataclass(frozen=True)
class Panel:
    """Features and targets that folds are cut from. Row r of symbol s is at `offset[s] + r` in the stacked arrays.

    features: float32 [N, F]; targets: float32 [N, H]. Sequences never cross from one symbol into the next,
    since training segments are given per symbol.
    """

    index: Mapping[str, pd.DatetimeIndex]
    bars: Mapping[str, Bars]
    offset: Mapping[str, int]
    names: tuple[str, ...]
    features: NDArray[np.float32]
    targets: NDArray[np.float32]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.bars)

    @classmethod
    def of(cls, candles: Mapping[str, pd.DataFrame], horizons: tuple[int, ...], names: tuple[str, ...] = ()) -> Panel:
        """Compute features and targets of every candle frame.

        Args:
            names: all features of the catalogue, and those of the factors that all frames carry, where none are named.
        """
        bars = {symbol: Bars.of(frame) for symbol, frame in candles.items()}
        names = names or all_names(next(iter(bars.values())).factors)
        starts = np.cumsum([0, *(len(b) for b in bars.values())])
        return cls(
            index={symbol: pd.DatetimeIndex(frame.index) for symbol, frame in candles.items()},
            bars=bars,
            offset=dict(zip(bars, (int(s) for s in starts), strict=False)),
            names=names,
            features=np.concatenate([matrix(b, names) for b in bars.values()]),
            targets=np.concatenate([targets(b, horizons) for b in bars.values()]),
        )

    def fingerprint(self, symbol: str, first: int, last: int) -> str:
        """Hash of the candles, and of the factors beside them, in rows [first, last) of one symbol."""
        b = self.bars[symbol]
        rows = slice(max(first, 0), last)
        candles = (b.times, b.open, b.high, b.low, b.close, b.volume)
        return fingerprint.of_arrays(*(column[rows] for column in (*candles, *b.factors.values())))
