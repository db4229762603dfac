"""What looks wrong in candles that are possible in themselves: a price far off its neighbours, a stretch that stands still, a split."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import PRICES, times_of

Floats = np.ndarray[Any, np.dtype[np.float64]]

_FAR: Final = 5.0  # times its neighbours
_LEAP: Final = 1.8
_AROUND: Final = 3  # bars on either side that show whether a leap lasts
_STILL_BARS: Final = 10
_STILL_SECONDS: Final = 6 * 3600
_STILL_ANYWAY: Final = 60


def doubts(frame: pd.DataFrame, timeframe: Timeframe) -> tuple[str, ...]:
    """One line for each kind of doubt about a candle frame; all bars are kept as they are."""
    if len(frame) < 3:
        return ()
    index = times_of(frame)
    prices = {name: np.asarray(frame[name].to_numpy(), dtype=np.float64) for name in PRICES}
    return tuple(filter(None, (_far_off(prices, index), _still(prices, index, timeframe), _leaps(prices["close"], prices["open"], index))))


def _far_off(prices: dict[str, Floats], index: pd.DatetimeIndex) -> str:
    """Single bars with a price many times, or a small part of, what both neighbours have."""
    close = prices["close"]
    before, after = close[:-2], close[2:]
    agree = np.maximum(before, after) < 2 * np.minimum(before, after)
    usual = np.sqrt(before * after)
    far = np.zeros(len(before), dtype=bool)
    for values in prices.values():
        ratio = values[1:-1] / usual
        far |= (ratio > _FAR) | (ratio < 1 / _FAR)
    found = np.flatnonzero(far & agree) + 1
    if not len(found):
        return ""
    row = int(found[0])
    worst = max((prices[name][row] / usual[row - 1] for name in PRICES), key=lambda ratio: abs(np.log(ratio)))
    place = f"{_many(len(found), 'bar')} far off both neighbours, first {index[row]:%Y-%m-%d %H:%M}"
    return f"{place}: {worst:.3g} times their price; kept as they are"


def _still(prices: dict[str, Floats], index: pd.DatetimeIndex, timeframe: Timeframe) -> str:
    """The longest stretch of bars that all have one and the same price."""
    close = prices["close"]
    flat = (prices["open"] == close) & (prices["high"] == close) & (prices["low"] == close)
    same = np.concatenate([[False], flat[1:] & flat[:-1] & (close[1:] == close[:-1])])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
    starts, lengths = edges[::2] - 1, edges[1::2] - edges[::2] + 1
    long = np.flatnonzero((lengths >= _STILL_BARS) & ((lengths * timeframe.seconds >= _STILL_SECONDS) | (lengths >= _STILL_ANYWAY)))
    if not len(long):
        return ""
    place = long[np.argmax(lengths[long])]
    row, bars = int(starts[place]), int(lengths[place])
    place = f"{bars:,} bars from {index[row]:%Y-%m-%d %H:%M} stand still at {close[row]:g}"
    return f"{place} ({_many(len(long), 'such stretch', 'es')}); kept as they are"


def _leaps(close: Floats, opened: Floats, index: pd.DatetimeIndex) -> str:
    """Changes from one close to the next open that last: what a split looks like where prices are not adjusted."""
    ratio = opened[1:] / close[:-1]
    found = [
        int(row) + 1 for row in np.flatnonzero((ratio > _LEAP) | (ratio < 1 / _LEAP)) if _lasts(close, int(row) + 1, float(ratio[row]))
    ]
    if not found:
        return ""
    row = found[0]
    change = float(opened[row] / close[row - 1])
    times = f"{1 / change:.3g} times lower" if change < 1 else f"{change:.3g} times higher"
    return f"prices are {times} from {index[row]:%Y-%m-%d %H:%M} on ({_many(len(found), 'such leap')}): a split that is not adjusted for?"


def _lasts(close: Floats, row: int, ratio: float) -> bool:
    before, after = np.median(close[max(0, row - _AROUND) : row]), np.median(close[row : row + _AROUND])
    return bool(abs(np.log(after / before)) > 0.6 * abs(np.log(ratio)))


def _many(number: int, what: str, plural: str = "s") -> str:
    return f"{number:,} {what}" + ("" if number == 1 else plural)
