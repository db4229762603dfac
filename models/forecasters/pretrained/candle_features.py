"""Candles as features: what a model that reads whole candles needs to have them back, up to the unit of their prices."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.features.bars import VOLATILITY_BARS, Bars
from forwardtrader.models.features.own_features import feature
from forwardtrader.models.features.rolling import Series, lag
from forwardtrader.models.port.sample_panel import SamplePanel

_MINUTES: Final = 24 * 60
_MINUTE_NS: Final = 60_000_000_000
NAMES: Final = tuple(f"candle_{name}" for name in ("open", "high", "low", "close", "volume", "unit", "day", "minute"))
# As `models.features` names them.
CHOSEN: Final = tuple(f"{__name__}:{name}" for name in NAMES)


@feature(warm_up=2)
def candle_open(bars: Bars) -> Series:
    """The open against the close before, in per cent of a logarithm."""
    return 100.0 * (np.log(bars.open) - lag(bars.log_close, 1))


@feature(warm_up=2)
def candle_high(bars: Bars) -> Series:
    """The high against the close before."""
    return 100.0 * (np.log(bars.high) - lag(bars.log_close, 1))


@feature(warm_up=2)
def candle_low(bars: Bars) -> Series:
    """The low against the close before."""
    return 100.0 * (np.log(bars.low) - lag(bars.log_close, 1))


@feature(warm_up=2)
def candle_close(bars: Bars) -> Series:
    """The close against the close before."""
    return 100.0 * bars.returns


@feature(warm_up=1)
def candle_volume(bars: Bars) -> Series:
    """The volume itself."""
    return bars.volume


@feature(warm_up=VOLATILITY_BARS + 1)
def candle_unit(bars: Bars) -> Series:
    """The usual move of a bar, which targets are measured in, in per cent."""
    return 100.0 * bars.volatility


@feature(warm_up=1)
def candle_day(bars: Bars) -> Series:
    """The day of the bar's open, UTC, since 1970."""
    return (bars.times // (_MINUTES * _MINUTE_NS)).astype(np.float64)


@feature(warm_up=1)
def candle_minute(bars: Bars) -> Series:
    """The minute of that day."""
    return (bars.times // _MINUTE_NS % _MINUTES).astype(np.float64)


class Candles:
    """The last `length` candles up to each sample of a panel.

    Attributes:
        values: float64 [N, L, 6], open, high, low, close, volume and amount; prices in units of the last close of their sample.
        minutes: int64 [N, L], minutes since 1970 of each bar's open, UTC.
        unit: float64 [N], the usual move of a bar, as a logarithm.
    """

    def __init__(self, panel: SamplePanel, length: int) -> None:
        places = [panel.names.index(name) for name in NAMES]
        opened, high, low, close, volume, unit, day, minute = np.moveaxis(panel.windows(length)[:, :, places].astype(np.float64), -1, 0)
        levels = close.cumsum(axis=1) - close.sum(axis=1, keepdims=True)
        prices = np.exp(np.stack([levels - close + part for part in (opened, high, low)] + [levels], axis=-1) / 100.0)
        amount = volume * prices.mean(axis=-1)
        self.values: NDArray[np.float64] = np.concatenate([prices, volume[..., None], amount[..., None]], axis=-1)
        self.minutes = (day * _MINUTES + minute).astype(np.int64)
        self.unit: NDArray[np.float64] = unit[:, -1] / 100.0

    def __len__(self) -> int:
        return len(self.values)


def calendar(minutes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Minute, hour, weekday (Monday is 0), day and month of moments in UTC: [..., 5]."""
    moment = minutes.astype("datetime64[m]")
    days = moment.astype("datetime64[D]")
    months = moment.astype("datetime64[M]")
    parts: list[Any] = [minutes % 60, minutes // 60 % 24, (days.astype(np.int64) + 3) % 7, (days - months).astype(np.int64) + 1]
    return np.stack([*parts, months.astype(np.int64) % 12 + 1], axis=-1).astype(np.float32)
