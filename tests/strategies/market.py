"""Small markets and feeds for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.models.forecaster import ForecastSource, RecordedForecasts, normal_frame
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro

HOUR = Timeframe.parse("1h")
BTC = MarketRules(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    step=Decimal("0.00001"),
    min_size=Decimal("0.00001"),
    min_notional=Decimal(5),
)
ETH = replace(BTC, symbol="ETH/USDT", base="ETH", step=Decimal("0.0001"), min_size=Decimal("0.0001"))
PERP = replace(BTC, symbol="BTC/USDT:USDT", can_short=True)


# The knobs as these tests know them, whatever the shipped defaults are.
_KNOBS: dict[str, Any] = {
    "horizon": 24,
    "holding": "14d",
    "premium": 0.5,
    "margin": 1.5,
    "leave": 0.0,
    "min_trade": 0.5,
    "risk_aversion": 1.0,
    "target_volatility": 0.3,
    "risk_tolerance": 0.02,
    "stop_scales": 2.0,
    "scale_memory": "0d",
    "cooldown": "1d",
    "max_drawdown": 0.35,
    "max_daily_loss": 0.1,
}


def knobs(**changes: Any) -> StrategySettings:
    """Settings of a test, with these changes."""
    return StrategySettings(**{**_KNOBS, **changes})


def candles(rows: int = 2000, seed: int = 1, price: float = 20_000.0, volatility: float = 0.006) -> pd.DataFrame:
    """A random walk of hourly bars whose open is the last close; a fat tail and changing volatility make stops work."""
    draw = np.random.default_rng(seed)
    calm = np.exp(np.cumsum(draw.normal(0, 0.03, rows)) * 0.3)
    returns = draw.standard_t(4, rows) / np.sqrt(2) * volatility * calm / calm.mean()
    close = np.round(price * np.exp(np.cumsum(returns)), 2)
    opened = np.concatenate([[price], close[:-1]])
    wick = np.abs(draw.normal(0, volatility / 2, (2, rows))) * close
    high, low = np.maximum(opened, close) + wick[0], np.minimum(opened, close) - wick[1]
    index = pd.date_range("2022-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": draw.uniform(1, 9, rows)}, index=index)


def forecasts(bars: pd.DataFrame, seed: int = 2, horizon: int = 24, skill: float = 1.0) -> pd.DataFrame:
    """Slowly changing forecasts, large enough to be traded often."""
    draw = np.random.default_rng(seed)
    scale = np.log(bars["close"]).diff().rolling(48).std().to_numpy() * horizon**0.5
    slow = pd.Series(draw.normal(size=len(bars))).ewm(halflife=12).mean()
    location = skill * 0.3 * (slow / slow.std()).to_numpy() * scale
    return normal_frame(bars.index, np.where(np.isnan(scale), np.nan, location), scale, "planted")


def source(bars: pd.DataFrame, seed: int = 2, horizon: int = 24) -> RecordedForecasts:
    return RecordedForecasts(forecasts(bars, seed, horizon), horizon=horizon)


def pandas_feed(bars: pd.DataFrame) -> Any:
    naive = bars.set_axis(pd.DatetimeIndex(bars.index).tz_localize(None))
    return bt.feeds.PandasData(dataname=naive, timeframe=bt.TimeFrame.Minutes, compression=60)


def feed(bars: pd.DataFrame, forecast: ForecastSource | None = None, rules: MarketRules = BTC) -> Feed:
    return Feed(data=pandas_feed(bars), rules=rules, timeframe=HOUR, source=forecast)


def run(bars: pd.DataFrame, settings: StrategySettings | None = None, **kwargs: Any) -> Any:
    """Run our strategy, or the one given, on one feed; the strategy comes back."""
    rules = kwargs.pop("rules", BTC)
    forecast = kwargs.pop("forecast", None) or source(bars)
    return build_cerebro([feed(bars, forecast, rules)], settings or knobs(), **kwargs).run()[0]
