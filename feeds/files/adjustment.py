"""Prices adjusted for splits and dividends, neither of which is a return."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from forwardtrader.feeds.candles.schema import Origin

Floats = np.ndarray[Any, np.dtype[np.float64]]
Prices = tuple[Floats, Floats, Floats, Floats]
_STEP: Final = 1e-12


def adjusted(prices: Prices, volume: Floats, adjusted_close: Floats, origin: Origin) -> tuple[Prices, Floats, tuple[str, ...]]:
    """Prices scaled by adjusted / close and volume inversely, so that turnover stays; the close is the adjusted one, as the file has it.

    Raises:
        CandleFileInvalid: a row whose close has no adjusted one beside it.
    """
    opened, high, low, close = prices
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = adjusted_close / close
    holes = np.flatnonzero(~(np.isfinite(factor) & (factor > 0)) & np.isfinite(close) & (close > 0))
    if len(holes):
        row = int(holes[0])
        what = "missing" if not np.isfinite(adjusted_close[row]) else f"{adjusted_close[row]:g}"
        origin.refuse(
            row, None, f"the adjusted close is {what} ({len(holes):,} such rows); fill it in, or remove that column to use raw prices"
        )
    changed = np.abs(factor - 1.0) > _STEP
    if not changed.any():
        return prices, volume, ()
    scaled = opened * factor, high * factor, low * factor, adjusted_close
    note = f"prices are adjusted by the adjusted close in {int(changed.sum()):,} of {len(factor):,} bars, volumes inversely"
    return scaled, np.where(changed, volume / factor, volume), (note,)
