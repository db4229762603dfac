"""The feature catalogue: each feature is a named causal function of bars with its warm-up.

A feature at bar t depends on bars t - warm_up + 1 .. t and on nothing else, to the last bit (`models.features.rolling`). So a live buffer
of `warm_up` bars gives the very numbers of a backtest over years. Values are roughly centred and of order one; scaling belongs to the
model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.features import factor_features, own_features
from forwardtrader.models.features.bars import VOLATILITY_BARS, Bars, floored
from forwardtrader.models.features.cross_section import MARKET
from forwardtrader.models.features.factor_features import LONGEST, PREFIX, factor_of, feature_names
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.incremental_graph import GraphSeries
from forwardtrader.models.features.rolling import Series, lag, window_max, window_mean, window_min, window_rms, window_sum
from forwardtrader.models.features.time_series.catalogue import TIME_SERIES

FEATURES: Final[dict[str, Feature]] = {}
# What the features of the catalogue are about, by their names: those of one group say in part the same.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "moves": ("return_?_ago", "move_*"),
    "extremes": ("stochastic_*", "drawdown_*", "run_up_*"),
    "bar shape": ("close_in_bar", "*_wick"),
    "volatility": ("volatility_*", "range_now", "return_on_range"),
    "volume": ("volume_*", "return_on_volume"),
    "average price": ("over_average_*",),
    "calendar": ("day_*", "week_*", "same_hour_return"),
}


def entry(name: str, warm_up: int) -> Callable[[Callable[[Bars], Series]], Callable[[Bars], Series]]:
    """Enter a function into the catalogue under `name`."""

    def enter(function: Callable[[Bars], Series]) -> Callable[[Bars], Series]:
        FEATURES[name] = Feature(name, warm_up, function)
        return function

    return enter


def matrix(bars: Bars, names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named features side by side: float32 [T, F], NaN while a feature warms up."""
    return np.stack([named(name).compute(bars) for name in names], axis=1).astype(np.float32)


def warm_up(names: tuple[str, ...]) -> int:
    """How many bars the slowest of the named features looks back over, and what forecasts are measured in: the volatility."""
    return max(VOLATILITY_BARS + 1, *(named(name).warm_up for name in names))


def looks_at_others(names: Iterable[str]) -> bool:
    """Whether one of the named features looks at the bars of other symbols."""
    return any(named(name).cross_asset for name in names)


def named(name: str) -> Feature:
    """The feature of that name: of the catalogue, of the market, of time-series analysis, made of a factor, or a user's own.

    Raises:
        FingerprintMismatch: a user's own that no one has chosen in this process, or whose code has changed since.
    """
    if factor_of(name):
        return Feature(name, LONGEST, lambda bars: _of_factor(bars, name))
    return FEATURES.get(name) or MARKET.get(name) or TIME_SERIES.get(name) or own_features.at_hand(name)


def all_names(factors: Iterable[str]) -> tuple[str, ...]:
    """The whole catalogue, and what is made of these factors."""
    return (*FEATURES, *feature_names(factors))


def group_of(name: str) -> str:
    """The group of a feature: each factor is one, and so is each feature of a user's own."""
    if factor_of(name):
        return f"factor {factor_of(name).removeprefix(PREFIX)}"
    if name in MARKET:
        return "market"
    if name in TIME_SERIES:
        return "time series"
    if name not in FEATURES:
        return f"own {own_features.short_name(name)}"
    return next((group for group, shapes in GROUPS.items() if any(fnmatchcase(name, shape) for shape in shapes)), name)


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
    entry(f"return_{_ago + 1}_ago", VOLATILITY_BARS + 2 + _ago)(_returned(_ago))


def _moved(n: int) -> Callable[[Bars], Series]:
    return lambda bars: window_sum(bars.scaled_returns, n) / np.sqrt(n)


for _n in (6, 24, 72, 168, 336):
    entry(f"move_{_n}", VOLATILITY_BARS + 1 + _n)(_moved(_n))


def _volatility_against_normal(n: int) -> Callable[[Bars], Series]:
    return lambda bars: np.log(floored(window_rms(bars.returns, n)) / bars.volatility)


for _n in (6, 24):
    entry(f"volatility_{_n}", VOLATILITY_BARS + 1)(_volatility_against_normal(_n))


@entry("range_now", VOLATILITY_BARS)
def range_now(bars: Bars) -> Series:
    """This bar's high-low range against the week's mean range."""
    return np.log((bars.log_range + 1e-6) / (window_mean(bars.log_range, VOLATILITY_BARS) + 1e-6))


@entry("close_in_bar", 1)
def close_in_bar(bars: Bars) -> Series:
    """Where the close stands in its bar: -1 at the low, 1 at the high."""
    span = bars.high - bars.low
    return np.where(span > 0, (2 * bars.close - bars.high - bars.low) / np.where(span > 0, span, 1.0), 0.0)


@entry("upper_wick", VOLATILITY_BARS + 1)
def upper_wick(bars: Bars) -> Series:
    """How far the high stood over open and close, in volatilities."""
    return np.minimum(np.log(bars.high / np.maximum(bars.open, bars.close)) / bars.volatility, 8.0)


@entry("lower_wick", VOLATILITY_BARS + 1)
def lower_wick(bars: Bars) -> Series:
    """How far the low stood under open and close, in volatilities."""
    return np.minimum(np.log(np.minimum(bars.open, bars.close) / bars.low) / bars.volatility, 8.0)


@entry("volume_now", VOLATILITY_BARS)
def volume_now(bars: Bars) -> Series:
    """Log volume against the week's mean."""
    return bars.relative_volume


@entry("return_on_volume", VOLATILITY_BARS + 2)
def return_on_volume(bars: Bars) -> Series:
    """The last return where it came with unusual volume (Campbell, Grossman and Wang 1993: such moves revert)."""
    return bars.scaled_returns * np.clip(bars.relative_volume, -3.0, 3.0)


@entry("return_on_range", VOLATILITY_BARS + 2)
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
    entry(f"over_average_{_n}", VOLATILITY_BARS - 1 + _n)(_against_average_price(_n))


@entry("volume_flow_24", VOLATILITY_BARS + 25)
def volume_flow_24(bars: Bars) -> Series:
    """Returns of the last 24 bars weighted by their relative volume."""
    return window_mean(bars.scaled_returns * np.exp(np.clip(bars.relative_volume, -2.0, 2.0)), 24)


@entry("stochastic_14", 14)
def stochastic_14(bars: Bars) -> Series:
    """Where the close stands between the extremes of 14 bars, from -1 to 1 (Lane)."""
    return _stochastic(bars, 14, flat=50.0) / 50.0 - 1.0


@entry("drawdown_168", VOLATILITY_BARS + 1)
def drawdown_168(bars: Bars) -> Series:
    """How far the close stands under the week's high, in volatilities of a week."""
    return np.log(bars.close / window_max(bars.high, 168)) / (bars.volatility * np.sqrt(168))


@entry("run_up_168", VOLATILITY_BARS + 1)
def run_up_168(bars: Bars) -> Series:
    """How far the close stands over the week's low, in volatilities of a week."""
    return np.log(bars.close / window_min(bars.low, 168)) / (bars.volatility * np.sqrt(168))


@entry("same_hour_return", VOLATILITY_BARS + 1 + 14 * 24)
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
    entry(f"{_name}_sin", 1)(_phase(_period, _harmonic, np.sin))
    entry(f"{_name}_cos", 1)(_phase(_period, _harmonic, np.cos))


def _stochastic(bars: Bars, n: int, *, flat: float) -> Series:
    """That of the `ta` package, built from extremes, which leave no rounding behind in a running window; `flat` where there is no range.

    A recorded series takes the same steps without pandas, so the bits are the same.
    """
    coming: object = bars.close
    if isinstance(coming, GraphSeries):
        lowest, highest = window_min(bars.low, n), window_max(bars.high, n)
        return np.where(highest > lowest, 100 * (bars.close - lowest) / (highest - lowest), flat + 0.0 * highest)
    from ta import momentum

    out = np.array(momentum.stoch(*(pd.Series(x) for x in (bars.high, bars.low, bars.close)), window=n, smooth_window=1), dtype=np.float64)
    known = out[n - 1 :]
    known[~np.isfinite(known)] = flat
    return out
