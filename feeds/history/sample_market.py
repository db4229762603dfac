"""The sample market: simulated candles for machines without network, marked SAMPLE wherever they are shown.

The model, per bar of `dt` hours, with independent unit-variance Student t shocks `z` (partly shared by all symbols of one seed):

    log return  r[t] = sigma[t] * (m[t] + z[t]) + drift(regime[t]) * dt + jump[t]
    forecast    m[t] = -PHI_1 * z[t-1] - PHI_2 * z[t-2] + BETA * sqrt(dt) * trend[t-1]
    trend       exponential average of z with a mean life of `TREND_HOURS`, scaled to unit variance
    volatility  log sigma[t] = log(base * sqrt(dt)) + regime + three AR(1) parts of different memory + hour of day + day of week

so `m` is the weak predictable part: its correlation with the standardised return is `known_ic` by construction, whatever the sample.
Regime drift is hidden and far weaker. Highs and lows are the exact extremes of a Brownian bridge between open and close, taken
independently; volume rises with volatility, with the size of the move, and with a slow tide of its own.

Every random stream is drawn in order of time and every filter looks back only, so a later end adds candles and changes none. Hourly
candles are the base of all longer ones; shorter timeframes are markets of their own, on the same model.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import UnknownTimeframe
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles import schema as candles

START: Final = datetime(2019, 1, 1, tzinfo=UTC)
SHORT_START: Final = datetime(2024, 1, 1, tzinfo=UTC)  # below 15 minutes a start in 2019 would mean millions of bars
PHI_1: Final = 0.060
PHI_2: Final = 0.032
BETA: Final = 0.022
TREND_HOURS: Final = 96.0

_HOUR: Final = Timeframe.parse("1h")
_DAY_S: Final = 86_400
_FREEDOM: Final = 4.5  # degrees of freedom of the shocks
_SHARED: Final = 0.85  # correlation of the shocks of two symbols
_BASE: Final = 0.0049  # typical volatility of one hour
_MEMORY: Final = ((900.0, 0.34), (90.0, 0.26), (5.0, 0.36))  # hours of mean life and spread of each part of log volatility
_JUMPS_PER_HOUR: Final = 0.0015
_REGIME_HOURS: Final = 45 * 24.0
_REGIME_DRIFT: Final = np.array([0.70, 0.0, -0.60]) / 8766  # per hour: rising, sideways, falling
_REGIME_VOLATILITY: Final = np.array([-0.05, -0.20, 0.25])
_HOURS: Final = np.log(
    [
        1.15,
        1.05,
        0.92,
        0.85,
        0.80,
        0.80,
        0.84,
        0.88,
        0.95,
        0.90,
        0.91,
        0.92,
        1.06,
        1.15,
        1.30,
        1.22,
        1.17,
        1.05,
        1.01,
        1.00,
        1.06,
        1.02,
        1.00,
        1.00,
    ]
)
_WEEKDAYS: Final = np.log([1.10, 1.06, 1.08, 1.06, 1.05, 0.76, 0.84])
# Price per unit at the start, in a dollar-like quote.
_START_PRICES: Final = {
    "BTC": 3700.0, "ETH": 131.0, "BNB": 6.0, "SOL": 1.5, "XRP": 0.36, "ADA": 0.042, "DOGE": 0.0023, "LTC": 31.0, "BCH": 160.0,
    "TRX": 0.02, "DOT": 4.5, "AVAX": 5.0, "LINK": 0.3, "ATOM": 4.0, "NEAR": 2.0, "UNI": 6.0, "XLM": 0.11, "ETC": 5.0, "FIL": 20.0,
    "AAVE": 50.0,
}  # fmt: skip
_QUOTES: Final = ("USDT", "USD", "USDC", "FDUSD", "EUR")

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SampleMarket:
    """Simulated candles and, per bar, its expected log return as known at the close of the bar before (regime drift left out)."""

    candles: pd.DataFrame
    expected: pd.Series[float]


def sample_candles(symbol: str, timeframe: Timeframe, *, seed: int, until: datetime) -> pd.DataFrame:
    """Candles from `first_bar(timeframe)` to the last bar closed at the beginning of the UTC day of `until`.

    The same symbol, timeframe and seed give the same candles, and a later `until` only adds to them.

    Raises:
        UnknownTimeframe: bars of that length do not fit into a day, or are not made of whole hours.
    """
    if _DAY_S % timeframe.seconds if timeframe.seconds <= _HOUR.seconds else timeframe.seconds % _HOUR.seconds:
        raise UnknownTimeframe(
            f"the sample market has no {timeframe} candles; it has those a day is a multiple of, like 1m, 15m, 1h, and whole hours or days"
        )
    if timeframe.seconds <= _HOUR.seconds:
        return simulate(symbol, timeframe, seed=seed, until=until).candles
    return _coarser(simulate(symbol, _HOUR, seed=seed, until=until).candles, timeframe)


def simulate(symbol: str, timeframe: Timeframe, *, seed: int, until: datetime) -> SampleMarket:
    """The market with its true conditional mean, for timeframes up to one hour (longer ones: `ValueError`)."""
    if timeframe.seconds > _HOUR.seconds:
        raise ValueError(f"the predictable part is known for bars up to 1h, not {timeframe}")
    times = _times(timeframe, until)
    shared = _Streams(np.random.SeedSequence([seed, timeframe.seconds]), len(times))
    own = _Streams(np.random.SeedSequence([seed, timeframe.seconds, zlib.crc32(symbol.encode())]), len(times))
    dt = timeframe.seconds / 3600
    regime = _regimes(shared, dt)
    shocks = _SHARED * shared.shocks() + math.sqrt(1 - _SHARED**2) * own.shocks()
    jumped, jumps = _jumps(shared, dt)
    sigma = np.exp(_log_volatility(shared, own, shocks, jumped, regime, times, dt))
    expected = sigma * _predictable(shocks, dt)
    returns = expected + sigma * shocks + sigma * jumps + _REGIME_DRIFT[regime] * dt
    frame = _bars(times, returns, sigma, own, symbol)
    frame["volume"] = _volume(own, np.log(sigma) - math.log(_BASE * math.sqrt(dt)), returns / sigma, symbol, dt)
    return SampleMarket(frame, pd.Series(expected, index=frame.index, name="expected"))


def known_ic(timeframe: Timeframe) -> float:
    """Correlation of `SampleMarket.expected` with the returns, both in units of volatility: what a perfect forecaster attains."""
    explained = PHI_1**2 + PHI_2**2 + _trend_weight(timeframe.seconds / 3600) ** 2
    return math.sqrt(explained / (1 + explained))


def listed_symbols() -> list[str]:
    """Every spot symbol that the sample market has; those of perpetuals are in `sample_perpetual`."""
    return [f"{base}/{quote}" for base in _START_PRICES for quote in _QUOTES]


def decimals_of(symbol: str) -> int:
    """How many decimals the prices of a symbol have."""
    return max(2, 4 - math.floor(math.log10(_start_price(symbol))))


def first_bar(timeframe: Timeframe) -> datetime:
    """Where the sample market begins."""
    return START if timeframe.seconds >= 900 else SHORT_START


def _times(timeframe: Timeframe, until: datetime) -> pd.DatetimeIndex:
    end = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return pd.date_range(
        first_bar(timeframe), end - timedelta(seconds=timeframe.seconds), freq=f"{timeframe.seconds}s", unit="ns", name="timestamp"
    )


class _Streams:
    """One generator per purpose, so that each series is a prefix of any longer one."""

    def __init__(self, seed: np.random.SeedSequence, bars: int) -> None:
        self.bars = bars
        self._generators = iter([np.random.default_rng(child) for child in seed.spawn(16)])

    def normal(self) -> Floats:
        return next(self._generators).standard_normal(self.bars)

    def uniform(self) -> Floats:
        return next(self._generators).random(self.bars)

    def shocks(self) -> Floats:
        """Student t with unit variance. A ratio of fixed draws per bar: library samplers of t may draw a varying number."""
        normal = self.normal()
        # A Gamma(2.25) variable as a sum of squares is not whole; 4.5 degrees are mixed from 4 and 5 of them.
        squares = np.square(np.stack([self.normal() for _ in range(5)]))
        chi = squares[:4].sum(axis=0) + 0.5 * squares[4]
        return np.asarray(normal / np.sqrt(chi / _FREEDOM) * math.sqrt((_FREEDOM - 2) / _FREEDOM), dtype=np.float64)


def _remember(noise: Floats, hours: float, dt: float) -> Floats:
    """AR(1) with a mean life of `hours`, scaled so that unit noise gives unit variance."""
    keep = math.exp(-dt / hours)
    scale = math.sqrt((1 + keep) / (1 - keep))
    began = np.concatenate([noise[:1] / scale, noise[1:]])  # so that the first value has unit variance too
    return np.asarray(pd.Series(began).ewm(alpha=1 - keep, adjust=False).mean().to_numpy() * scale)


def _predictable(shocks: Floats, dt: float) -> Floats:
    """`m` of the module docstring; needs only shocks before the bar."""
    trend = _remember(shocks, TREND_HOURS, dt)
    return -PHI_1 * _before(shocks, 1) - PHI_2 * _before(shocks, 2) + _trend_weight(dt) * _before(trend, 1)


def _trend_weight(dt: float) -> float:
    # With the square root a shock has the same lasting effect on the price whatever the length of a bar.
    return BETA * math.sqrt(dt)


def _before(values: Floats, bars: int) -> Floats:
    return np.concatenate([np.zeros(bars), values])[: len(values)]


def _regimes(shared: _Streams, dt: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    changes = shared.uniform() < dt / _REGIME_HOURS
    kinds = (shared.uniform() * len(_REGIME_DRIFT)).astype(np.int64)
    since = np.maximum.accumulate(np.where(changes, np.arange(shared.bars), 0))
    return np.asarray(kinds[since])


def _jumps(shared: _Streams, dt: float) -> tuple[Floats, Floats]:
    """Where jumps happen (0 or 1), and their size in units of volatility; falls are larger than rises."""
    happens = (shared.uniform() < _JUMPS_PER_HOUR * dt).astype(np.float64)
    size = 3.5 * shared.normal()
    return happens, happens * np.where(size < 0, 1.4 * size, size)


def _log_volatility(
    shared: _Streams, own: _Streams, shocks: Floats, jumped: Floats, regime: np.ndarray[Any, Any], times: pd.DatetimeIndex, dt: float
) -> Floats:
    level = np.full(len(times), math.log(_BASE * math.sqrt(dt))) + _REGIME_VOLATILITY[regime]
    for hours, spread in _MEMORY:
        level += spread * _remember(0.9 * shared.normal() + math.sqrt(1 - 0.9**2) * own.normal(), hours, dt)
    # Volatility rises after a jump and after a fall.
    excited = _remember(6.0 * jumped - 0.2 * np.clip(shocks, -3, 3), 10.0, dt)
    return np.asarray(level + 0.12 * _before(excited, 1) + _HOURS[times.hour] + _WEEKDAYS[times.day_of_week])


def _bars(times: pd.DatetimeIndex, returns: Floats, sigma: Floats, own: _Streams, symbol: str) -> pd.DataFrame:
    start, decimals = _start_price(symbol), decimals_of(symbol)
    log_close = np.cumsum(returns)
    # The extreme of a Brownian bridge from 0 to r with variance s^2: (r +- sqrt(r^2 - 2 s^2 log U)) / 2.
    spread = -2.0 * np.square(1.02 * sigma)
    up = (returns + np.sqrt(returns**2 + spread * np.log1p(-own.uniform()))) / 2
    down = (returns - np.sqrt(returns**2 + spread * np.log1p(-own.uniform()))) / 2
    log_open = _before(log_close, 1)
    prices = {"open": log_open, "high": log_open + up, "low": log_open + down, "close": log_close}
    tick = 10.0**-decimals
    return pd.DataFrame({name: np.maximum(np.round(start * np.exp(p), decimals), tick) for name, p in prices.items()}, index=times)


def _volume(own: _Streams, excess: Floats, moves: Floats, symbol: str, dt: float) -> Floats:
    """Volume in base units per bar; `excess` is log volatility above its usual level, `moves` the returns in units of volatility."""
    tide = 0.45 * _remember(own.normal(), 1200.0, dt) + 0.20 * _remember(own.normal(), 6.0, dt)
    level = math.log(6_000_000 * dt / _start_price(symbol))
    log_volume = level + tide + 0.9 * excess + 0.45 * np.log(0.4 + np.abs(moves)) + 0.25 * own.normal()
    return np.asarray(np.round(np.exp(log_volume), 5), dtype=np.float64)


def _start_price(symbol: str) -> float:
    return _START_PRICES.get(symbol.split("/")[0], 10.0)


def _coarser(hourly: pd.DataFrame, timeframe: Timeframe) -> pd.DataFrame:
    """Join hourly bars; the last one is left out unless it is whole."""
    rule = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    origin = pd.Timestamp(candles.grid_floor(START, timeframe))
    grouped = hourly.resample(timeframe.delta, label="left", closed="left", origin=origin)
    joined = grouped.agg(rule)[list(OHLCV)]
    whole = grouped["close"].count() == timeframe.seconds // _HOUR.seconds
    return joined.loc[whole]
