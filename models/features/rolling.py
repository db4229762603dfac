"""Sums, extremes and averages over the last `n` bars, equal bit for bit wherever the series begins.

A running sum carries rounding from its first bar to its last, so the same window would give other last bits in a backtest of years and in a
live buffer of weeks. Here each window is a fixed tree of additions over its own bars only: runs of 1, 2, 4, 8 ... bars are combined in an
order that depends on `n` alone. That also makes the cost proportional to the logarithm of `n`.

All functions take float64 [T] and give float64 [T] whose first `n - 1` values are NaN; a series that is still to come
(`models.features.incremental_graph`) has them written down instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.features.incremental_graph import GraphSeries

Series: TypeAlias = NDArray[np.float64]


def window_sum(x: Series, n: int) -> Series:
    """Sum of the last `n` values."""
    return _tree(x, n, np.add)


def window_max(x: Series, n: int) -> Series:
    """Largest of the last `n` values."""
    return _tree(x, n, np.maximum)


def window_min(x: Series, n: int) -> Series:
    """Smallest of the last `n` values."""
    return _tree(x, n, np.minimum)


def window_mean(x: Series, n: int) -> Series:
    """Mean of the last `n` values."""
    return window_sum(x, n) / n


def window_rms(x: Series, n: int) -> Series:
    """Root mean square of the last `n` values."""
    return np.sqrt(window_mean(x * x, n))


def lag(x: Series, n: int) -> Series:
    """The value `n` bars ago."""
    if n == 0:
        return x
    coming: object = x
    if isinstance(coming, GraphSeries):
        return cast(Series, coming.lag(n))
    out = np.full_like(x, np.nan)
    out[n:] = x[:-n] if n < len(x) else x[:0]
    return out


def _tree(x: Series, n: int, combine: Callable[[Series, Series], Series]) -> Series:
    """Combine runs of doubling length; `n` is read bit by bit from its lowest."""
    result: Series | None = None
    covered, run, length = 0, x, 1
    while True:
        if n & length:
            part = lag(run, covered)
            result = part if result is None else combine(result, part)
            covered += length
        if length * 2 > n:
            assert result is not None
            return result.copy()
        run = combine(run, lag(run, length))
        length *= 2
