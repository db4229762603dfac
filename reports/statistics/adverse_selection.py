"""Adverse selection: how far the price moves against a fill over the bars that follow, which is what a resting order pays for its price.

A resting buy is filled when the price falls through it, so more often than not it falls on. For each fill (s is +1 for a buy, -1 for a
sale)

    against(k) = -s * (close k bars after the bar of the fill - price) / price

and the mean is weighted by the value of the fills. Above zero the price moved against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

AHEAD: Final = (1, 4, 24)  # bars after that of the fill


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingFill:
    """A fill of an order that rested: UTC open time of its bar, 1 for a buy and -1 for a sale, its value and price in quote units."""

    at: pd.Timestamp
    symbol: str
    side: int
    value: float
    price: float


def adverse_selection(
    fills: Sequence[RestingFill], closes: Mapping[str, pd.Series[float]], ahead: Sequence[int] = AHEAD
) -> dict[int, float | None]:
    """By number of bars, the mean move against the fills, in basis points; None where no fill has so many bars after it.

    Args:
        closes: by symbol, in order of the open time of the bars.
    """
    return {bars: _mean([_against(fill, closes.get(fill.symbol), bars) for fill in fills]) for bars in ahead}


def _against(fill: RestingFill, closes: pd.Series[float] | None, bars: int) -> tuple[float, float]:
    """The move in basis points and its weight, which is zero where it is not known."""
    if closes is None or not fill.price > 0.0:
        return 0.0, 0.0
    row = int(pd.DatetimeIndex(closes.index).searchsorted(fill.at, side="right")) - 1 + bars
    if row < bars or row >= len(closes):
        return 0.0, 0.0
    return -fill.side * (float(closes.iloc[row]) / fill.price - 1.0) * 1e4, fill.value


def _mean(moves: Sequence[tuple[float, float]]) -> float | None:
    weights = np.array([weight for _, weight in moves], dtype=np.float64)
    if not weights.sum() > 0.0:
        return None
    return float(np.average([move for move, _ in moves], weights=weights))
