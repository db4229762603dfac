"""Volatility filters, dependence of returns and regimes: features `ts_*`, off unless `models.features` names them.

A filter that runs for ever would remember its first bar, and a live buffer would give other bits than a backtest. So each begins anew at
every bar, some bars ago, where its memory has died away. Parameters are fixed, as in RiskMetrics; what is to be fitted is fitted by the
model that gets the features, on its training window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from forwardtrader.models.features.bars import VOLATILITY_BARS, Bars, floored
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.rolling import Series, lag, window_mean, window_rms, window_sum
from forwardtrader.models.features.time_series.weighted import ewma

TIME_SERIES: Final[dict[str, Feature]] = {}
EWMA_BARS: Final = 168
REGIME_BARS: Final = 48
_MONTH: Final = 672
_STAYS: Final = 0.97  # probability that the regime of one bar is that of the next
_CALM, _WILD = 0.6, 1.7  # volatility in the two regimes, in units of the week's
_MOST: Final = 6.0
_EPS: Final = 1e-18


def _entry(name: str, warm_up: int) -> Callable[[Callable[[Bars], Series]], Callable[[Bars], Series]]:
    def enter(function: Callable[[Bars], Series]) -> Callable[[Bars], Series]:
        TIME_SERIES[name] = Feature(name, warm_up, function)
        return function

    return enter


def _filtered(bars: Bars, decay: float) -> Series:
    """The volatility of the next bar as an exponential filter has it (RiskMetrics 1996: an integrated GARCH with fixed parameters)."""
    return floored(np.sqrt(ewma(bars.returns * bars.returns, decay, EWMA_BARS)))


def _filter(decay: float) -> Callable[[Bars], Series]:
    return lambda bars: np.log(_filtered(bars, decay) / bars.volatility)


for _decay in (0.94, 0.8):
    _entry(f"ts_volatility_filter_{round(_decay * 100)}", VOLATILITY_BARS + 1)(_filter(_decay))


@_entry("ts_surprise", EWMA_BARS + 2)
def ts_surprise(bars: Bars) -> Series:
    """The last return in units of the volatility that the filter had foretold."""
    return np.clip(bars.returns / lag(_filtered(bars, 0.94), 1), -_MOST, _MOST)


@_entry("ts_volatility_month", _MONTH + 1)
def ts_volatility_month(bars: Bars) -> Series:
    """The month's volatility against the week's: with `volatility_24` the components of HAR (Corsi 2009)."""
    return np.log(floored(window_rms(bars.returns, _MONTH)) / bars.volatility)


@_entry("ts_leverage_168", VOLATILITY_BARS + 2)
def ts_leverage_168(bars: Bars) -> Series:
    """Correlation of a return with the size of the next one over a week: negative where falls make a market restless (Black 1976)."""
    before = lag(bars.returns, 1)
    moved = window_sum(before * np.abs(bars.returns), VOLATILITY_BARS)
    scale = window_sum(before * before, VOLATILITY_BARS) * window_sum(bars.returns * bars.returns, VOLATILITY_BARS)
    return moved / np.sqrt(scale + _EPS)


def _autocorrelation(k: int, n: int) -> Callable[[Bars], Series]:
    def compute(bars: Bars) -> Series:
        before = lag(bars.returns, k)
        scale = window_sum(before * before, n) * window_sum(bars.returns * bars.returns, n)
        return window_sum(before * bars.returns, n) / np.sqrt(scale + _EPS)

    return compute


for _k, _n in ((1, 168), (24, 336)):
    _entry(f"ts_autocorrelation_{_k}", 1 + _n + _k)(_autocorrelation(_k, _n))


def _variance_ratio(q: int, n: int) -> Callable[[Bars], Series]:
    def compute(bars: Bars) -> Series:
        moved = bars.log_close - lag(bars.log_close, q)
        each = window_mean(bars.returns * bars.returns, n)
        return np.clip(np.log((window_mean(moved * moved, n) + _EPS) / (q * each + _EPS)), -3.0, 3.0)

    return compute


# Above zero where moves of q bars go on, below it where they are given back (Lo and MacKinlay 1988).
for _q, _n in ((4, 168), (24, 336)):
    _entry(f"ts_variance_ratio_{_q}", _n + _q)(_variance_ratio(_q, _n))


@_entry("ts_wild_regime", VOLATILITY_BARS + 1 + REGIME_BARS)
def ts_wild_regime(bars: Bars) -> Series:
    """Probability of the wilder of two regimes, from -1 to 1 (filter of Hamilton 1989), which knows nothing two days ago."""
    square = bars.scaled_returns * bars.scaled_returns
    evidence = np.log(_CALM / _WILD) + 0.5 * square * (_CALM**-2 - _WILD**-2)
    odds = np.exp(np.clip(evidence, -_MOST, _MOST))
    wild = 0.5 + 0.0 * lag(odds, REGIME_BARS - 1)
    for ago in range(REGIME_BARS - 1, -1, -1):
        before = wild * _STAYS + (1.0 - wild) * (1.0 - _STAYS)
        told = before * lag(odds, ago)
        wild = told / (told + (1.0 - before))
    return 2.0 * wild - 1.0
