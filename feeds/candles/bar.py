"""One closed candle as a plain tuple: what streams deliver and comparisons read."""

from __future__ import annotations

from typing import NamedTuple


class Bar(NamedTuple):
    """One candle; `at` is its open time in milliseconds UTC, prices are in quote units, volume in base units."""

    at: int
    open: float
    high: float
    low: float
    close: float
    volume: float
