"""Small candle frames for tests."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe

HOUR = Timeframe.parse("1h")
DAY = Timeframe.parse("1d")
START = datetime(2024, 1, 1, tzinfo=UTC)


def made(bars: int, *, start: datetime = START, timeframe: Timeframe = HOUR, seed: int = 0) -> pd.DataFrame:
    """A valid candle frame: a random walk with two decimals; a longer one begins with the same bars."""
    draws = np.random.default_rng(seed).random((bars, 4))
    index = pd.date_range(start, periods=bars, freq=timeframe.delta, unit="ns", name="timestamp")
    close = np.round(100 * np.exp(np.cumsum(0.04 * (draws[:, 0] - 0.5))), 2)
    opened = np.concatenate([[100.0], close[:-1]])[:bars]
    high = np.round(np.maximum(opened, close) + draws[:, 1], 2)
    low = np.round(np.minimum(opened, close) - draws[:, 2], 2)
    volume = np.round(1 + 50 * draws[:, 3], 3)
    return pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=index)
