"""One shape of a candle file: how it is written, and what has to come of reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe

Content = Callable[[pd.DataFrame], bytes | str]


def candles(bars: int, timeframe: str = "1h", start: str = "2024-03-01", *, seed: int = 0, business: bool = False) -> pd.DataFrame:
    """Candles with two decimals; weekdays only where `business`."""
    draws = np.random.default_rng(seed).random((bars, 4))
    freq: Any = pd.offsets.BDay() if business else Timeframe.parse(timeframe).delta
    index = pd.date_range(start, periods=bars, freq=freq, tz="UTC", unit="ns", name="timestamp")
    close = np.round(150 * np.exp(np.cumsum(0.04 * (draws[:, 0] - 0.5))), 2)
    opened = np.concatenate([[150.0], close[:-1]])
    high, low = np.round(np.maximum(opened, close) + draws[:, 1] + 0.01, 2), np.round(np.minimum(opened, close) - draws[:, 2] - 0.01, 2)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": np.round(1 + 50 * draws[:, 3], 3)}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(index, freq=None))


HOURS = candles(320)
DAYS = candles(60, "1d", "2022-01-03", business=True)
ROUND_THE_CLOCK = candles(60, "1d", "2022-01-03")


def sessions(start: str = "2024-03-04", days: int = 10, minutes: int = 60, clock: str = "09:30", bars: int = 7) -> pd.DataFrame:
    """Bars of a New York session, over the change to summer time."""
    opens = pd.bdate_range(start, periods=days, tz="America/New_York") + pd.Timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))
    index = pd.DatetimeIndex([at + pd.Timedelta(minutes=minutes * n) for at in opens for n in range(bars)]).tz_convert("UTC").as_unit("ns")
    return candles(len(index)).set_axis(index.rename("timestamp"))


@dataclass(frozen=True)
class Shape:
    """`expected` makes what has to be read of the candles (by default they themselves); `refused` is what a refusal has to say instead."""

    group: str
    name: str
    content: Content
    frame: pd.DataFrame = field(default_factory=lambda: HOURS)
    file: str = "candles.csv"
    timeframe: str = "1h"
    symbol: str = "BTC/USDT"
    expected: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    refused: str = ""
    told: str = ""
    exact: bool = True
    options: Mapping[str, str] = field(default_factory=dict)


def fields_of(frame: pd.DataFrame, zone: str = "UTC") -> list[dict[str, Any]]:
    """What a row can be written with: `t` the local time, unix times, prices, volume, turnover `q` and the count of trades `n`."""
    local = pd.DatetimeIndex(frame.index).tz_convert(zone)
    seconds = pd.DatetimeIndex(frame.index).as_unit("s").asi8
    return [
        {
            "t": at, "s": int(s), "ms": int(s) * 1000, "us": int(s) * 10**6, "ns": int(s) * 10**9, "x": s / 86_400 + 25_569, "n": 12,
            "o": o, "h": h, "l": low, "c": c, "v": v, "q": v * (h + low + c) / 3, "end": (int(s) + 3600) * 1000 - 1,
        }
        for at, s, (o, h, low, c, v) in zip(local, seconds, frame.to_numpy().tolist(), strict=True)
    ]  # fmt: skip


def lines(head: str, row: str, *, zone: str = "UTC", newest_first: bool = False, comma: bool = False, foot: str = "") -> Content:
    """A text whose rows are made by a template such as `{t:%Y-%m-%d},{o},{h}`."""

    def write(frame: pd.DataFrame) -> str:
        made = [row.format(**({k: _comma(v) if comma else v for k, v in cells.items()})) for cells in fields_of(frame, zone)]
        return "\n".join([*([head] if head else []), *(made[::-1] if newest_first else made), *([foot] if foot else [])]) + "\n"

    return write


def _comma(value: Any) -> Any:
    return str(value).replace(".", ",") if isinstance(value, float) else value


def with_volume(change: Callable[[pd.Series], Any]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(volume=change(frame["volume"]))
