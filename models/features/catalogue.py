"""The feature catalogue: each feature is a named causal function of bars with its warm-up.

A feature at bar t depends on bars t - warm_up + 1 .. t and on nothing else, to the last bit (`models.features.rolling`). So a live buffer
of `warm_up` bars gives the very numbers of a backtest over years. Values are roughly centred and of order one; scaling belongs to the
model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.features import factor_features
from forwardtrader.models.features.factor_features import LONGEST, PREFIX, factor_names, factor_of, feature_names
from forwardtrader.models.features.rolling import Series, lag, window_max, window_mean, window_min, window_rms, window_sum

VOLATILITY_BARS: Final = 168


@dataclass(frozen=True)
class Bars:
    """Columns of a candle frame as float64 [T], and what several features share, computed once.

    `times` holds bar-open times in UTC nanoseconds; returns are logarithmic, close to close. `factors` holds the columns named
    `factor_...`: what was known at each close, NaN where nothing was.
    """

    times: NDArray[np.int64]
    open: Series
    high: Series
    low: Series
    close: Series
    volume: Series
    factors: Mapping[str, Series] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Bars:
        """Take a candle frame (UTC index of bar-open times; open, high, low, close, volume)."""
        index = pd.DatetimeIndex(frame.index)
        times = index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
        names = ("open", "high", "low", "close", "volume")
        opened, high, low, close, volume = (np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64)) for name in names)
        factors = {name: frame[name].to_numpy(dtype=np.float64) for name in factor_names(frame.columns)}
        return cls(times, opened, high, low, close, volume, factors)

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def log_close(self) -> Series:
        return np.log(self.close)

    @cached_property
    def returns(self) -> Series:
        """Log return of each bar; the first is NaN."""
        return self.log_close - lag(self.log_close, 1)

    @cached_property
    def volatility(self) -> Series:
        """Root mean square of the last 168 log returns: the unit in which moves are measured."""
        return floored(window_rms(self.returns, VOLATILITY_BARS))

    @cached_property
    def scaled_returns(self) -> Series:
        """Each return in units of the volatility known one bar before it."""
        return np.clip(self.returns / lag(self.volatility, 1), -8.0, 8.0)

    @cached_property
    def log_volume(self) -> Series:
        return np.log1p(self.volume)

    @cached_property
    def relative_volume(self) -> Series:
        """Log volume against its mean over the last 168 bars."""
        return self.log_volume - window_mean(self.log_volume, VOLATILITY_BARS)

    @cached_property
    def log_range(self) -> Series:
        """Log of high over low; a bar printed upside down still has a range."""
        return np.abs(np.log(self.high / self.low))


def floored(volatility: Series) -> Series:
    """Keep a volatility away from zero, so that a market that stands still divides nothing by nothing."""
    return np.maximum(volatility, 1e-6)


@dataclass(frozen=True)
class Feature:
    """One column of the model's input."""

    name: str
    warm_up: int
    compute: Callable[[Bars], Series]


FEATURES: Final[dict[str, Feature]] = {}


def feature(name: str, warm_up: int) -> Callable[[Callable[[Bars], Series]], Callable[[Bars], Series]]:
    """Enter a function into the catalogue under `name`."""

    def enter(function: Callable[[Bars], Series]) -> Callable[[Bars], Series]:
        FEATURES[name] = Feature(name, warm_up, function)
        return function

    return enter


def matrix(bars: Bars, names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named features side by side: float32 [T, F], NaN while a feature warms up."""
    return np.stack([named(name).compute(bars) for name in names], axis=1).astype(np.float32)


def warm_up(names: tuple[str, ...]) -> int:
    """How many bars the slowest of the named features looks back over."""
    return max(named(name).warm_up for name in names)


def named(name: str) -> Feature:
    """The feature of that name: of the catalogue, or made of a factor."""
    return Feature(name, LONGEST, lambda bars: _of_factor(bars, name)) if factor_of(name) else FEATURES[name]


def all_names(factors: Iterable[str]) -> tuple[str, ...]:
    """The whole catalogue, and what is made of these factors."""
    return (*FEATURES, *feature_names(factors))


def _of_factor(bars: Bars, name: str) -> Series:
    column = factor_of(name)
    if column not in bars.factors:
        raise FingerprintMismatch(
            f"the model was trained with the factor {column.removeprefix(PREFIX)}, which is not at hand; name its file under feeds.factors"
        )
    return factor_features.compute(name, bars.factors[column])


def _returned(bars_ago: int) -> Callable[[Bars], Series]:
    return lambda bars: lag(bars.scaled_returns, bars_ago)


for _ago in (0, 1, 2):
    feature(f"return_{_ago + 1}_ago", VOLATILITY_BARS + 2 + _ago)(_returned(_ago))


def _moved(n: int) -> Callable[[Bars], Series]:
    return lambda bars: window_sum(bars.scaled_returns, n) / np.sqrt(n)


for _n in (6, 24, 72, 168, 336):
    feature(f"move_{_n}", VOLATILITY_BARS + 1 + _n)(_moved(_n))


def _volatility_against_normal(n: int) -> Callable[[Bars], Series]:
    return lambda bars: np.log(floored(window_rms(bars.returns, n)) / bars.volatility)


for _n in (6, 24):
    feature(f"volatility_{_n}", VOLATILITY_BARS + 1)(_volatility_against_normal(_n))


@feature("range_now", VOLATILITY_BARS)
def range_now(bars: Bars) -> Series:
    """This bar's high-low range against the week's mean range."""
    return np.log((bars.log_range + 1e-6) / (window_mean(bars.log_range, VOLATILITY_BARS) + 1e-6))


@feature("close_in_bar", 1)
def close_in_bar(bars: Bars) -> Series:
    """Where the close stands in its bar: -1 at the low, 1 at the high."""
    span = bars.high - bars.low
    return np.where(span > 0, (2 * bars.close - bars.high - bars.low) / np.where(span > 0, span, 1.0), 0.0)


@feature("upper_wick", VOLATILITY_BARS + 1)
def upper_wick(bars: Bars) -> Series:
    """How far the high stood over open and close, in volatilities."""
    return np.minimum(np.log(bars.high / np.maximum(bars.open, bars.close)) / bars.volatility, 8.0)


@feature("lower_wick", VOLATILITY_BARS + 1)
def lower_wick(bars: Bars) -> Series:
    """How far the low stood under open and close, in volatilities."""
    return np.minimum(np.log(np.minimum(bars.open, bars.close) / bars.low) / bars.volatility, 8.0)


@feature("volume_now", VOLATILITY_BARS)
def volume_now(bars: Bars) -> Series:
    """Log volume against the week's mean."""
    return bars.relative_volume


@feature("return_on_volume", VOLATILITY_BARS + 2)
def return_on_volume(bars: Bars) -> Series:
    """The last return where it came with unusual volume (Campbell, Grossman and Wang 1993: such moves revert)."""
    return bars.scaled_returns * np.clip(bars.relative_volume, -3.0, 3.0)


@feature("return_on_range", VOLATILITY_BARS + 2)
def return_on_range(bars: Bars) -> Series:
    """The direction of the last return where ranges of the last 6 bars (Parkinson 1980) stand out from the week's volatility."""
    parkinson = floored(np.sqrt(window_mean(bars.log_range**2, 6) / (4.0 * np.log(2.0))))
    return np.tanh(2.0 * bars.scaled_returns) * np.log(parkinson / bars.volatility)


def _against_average_price(n: int) -> Callable[[Bars], Series]:
    def compute(bars: Bars) -> Series:
        weight = np.exp(np.clip(bars.relative_volume, -2.0, 2.0))
        average = window_sum(np.log((bars.high + bars.low + bars.close) / 3.0) * weight, n) / window_sum(weight, n)
        return np.clip((bars.log_close - average) / (bars.volatility * np.sqrt(n)), -4.0, 4.0)

    return compute


# The close against the volume-weighted price of the last bars, in usual moves: what was overpaid tends to be given back.
for _n in (3, 6, 24, 72):
    feature(f"over_average_{_n}", VOLATILITY_BARS - 1 + _n)(_against_average_price(_n))


@feature("volume_flow_24", VOLATILITY_BARS + 25)
def volume_flow_24(bars: Bars) -> Series:
    """Returns of the last 24 bars weighted by their relative volume."""
    return window_mean(bars.scaled_returns * np.exp(np.clip(bars.relative_volume, -2.0, 2.0)), 24)


@feature("stochastic_14", 14)
def stochastic_14(bars: Bars) -> Series:
    """Where the close stands between the extremes of 14 bars, from -1 to 1 (Lane)."""
    return _stochastic(bars, 14, flat=50.0) / 50.0 - 1.0


@feature("drawdown_168", VOLATILITY_BARS + 1)
def drawdown_168(bars: Bars) -> Series:
    """How far the close stands under the week's high, in volatilities of a week."""
    return np.log(bars.close / window_max(bars.high, 168)) / (bars.volatility * np.sqrt(168))


@feature("run_up_168", VOLATILITY_BARS + 1)
def run_up_168(bars: Bars) -> Series:
    """How far the close stands over the week's low, in volatilities of a week."""
    return np.log(bars.close / window_min(bars.low, 168)) / (bars.volatility * np.sqrt(168))


@feature("same_hour_return", VOLATILITY_BARS + 1 + 14 * 24)
def same_hour_return(bars: Bars) -> Series:
    """What bars at the next bar's hour of day brought over 14 days of hourly bars (Heston, Korajczyk and Sadka 2010)."""
    total = lag(bars.scaled_returns, 23)
    for day in range(2, 15):
        total = total + lag(bars.scaled_returns, 24 * day - 1)
    return total / np.sqrt(14.0)


def _phase(period_hours: float, harmonic: int, wave: Callable[[Series], Series]) -> Callable[[Bars], Series]:
    turns = 2.0 * np.pi * harmonic / (period_hours * 3.6e12)

    def compute(bars: Bars) -> Series:
        return wave((bars.times % np.int64(period_hours * 3.6e12)).astype(np.float64) * turns)

    return compute


# Six waves of the day are enough to draw its single hours, among them those of funding and of the exchanges' opening.
_WAVES: Final = (*((f"day_{_k}", 24.0, _k) for _k in range(1, 7)), ("week", 168.0, 1))
for _name, _period, _harmonic in _WAVES:
    feature(f"{_name}_sin", 1)(_phase(_period, _harmonic, np.sin))
    feature(f"{_name}_cos", 1)(_phase(_period, _harmonic, np.cos))


def _stochastic(bars: Bars, n: int, *, flat: float) -> Series:
    """That of the `ta` package, built from extremes, which leave no rounding behind in a running window; `flat` where there is no range."""
    from ta import momentum

    out = np.array(momentum.stoch(*(pd.Series(x) for x in (bars.high, bars.low, bars.close)), window=n, smooth_window=1), dtype=np.float64)
    known = out[n - 1 :]
    known[~np.isfinite(known)] = flat
    return out
