"""A Backtrader feed's bars as the frame that forecasters read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import OHLCV

_EPOCH_DAY: Final = 719163  # Backtrader counts days from 0001-01-01 as day 1
_COLUMNS: Final = pd.Index(OHLCV)
_DAY_MS: Final = 86_400_000.0


def whole_frame(data: Any, rows: int) -> pd.DataFrame:
    """The first `rows` bars of a preloaded feed: UTC bar-open index, float64 columns open, high, low, close, volume."""
    return _frame(data, lambda line: line.array[:rows])


def last_frame(data: Any, rows: int) -> pd.DataFrame:
    """The newest `rows` bars of a feed, the present one last."""
    return _frame(data, lambda line: line.get(size=rows))


def bar_at(data: Any, number: float) -> tuple[float, float, float, float, float] | None:
    """Open, high, low, close and volume of a feed's bar with a Backtrader time; None where it has shown none of that time."""
    try:
        ago = next(-n for n in range(len(data)) if data.datetime[-n] <= number)
    except (StopIteration, IndexError):  # lines may be kept only as long as they are looked back on
        return None
    if data.datetime[ago] != number:
        return None
    return data.open[ago], data.high[ago], data.low[ago], data.close[ago], data.volume[ago]


def utc_index(numbers: NDArray[np.float64]) -> pd.DatetimeIndex:
    """Backtrader date numbers as UTC times, to the millisecond (a float of days resolves about 10 microseconds)."""
    milliseconds = np.rint((numbers - _EPOCH_DAY) * _DAY_MS).astype(np.int64)
    return pd.DatetimeIndex((milliseconds * 1_000_000).astype("datetime64[ns]"), tz="UTC", name="timestamp")


def epoch_seconds(number: float) -> float:
    """One Backtrader date number as UTC epoch seconds, to the millisecond."""
    return round((number - _EPOCH_DAY) * _DAY_MS) / 1000.0


def _frame(data: Any, read: Callable[[Any], Any]) -> pd.DataFrame:
    values = np.array([read(getattr(data.lines, name)) for name in OHLCV], dtype=np.float64).T
    return pd.DataFrame(values, index=utc_index(np.array(read(data.lines.datetime), dtype=np.float64)), columns=_COLUMNS, copy=False)
