"""Online adaptation: forecasts corrected by their own outcomes, bar by bar, between retrainings.

Each quantile has a stretch of its own that grows when outcomes miss it too often and shrinks when they miss it too seldom (adaptive
conformal inference: Gibbs and Candes 2021, in the quantile-tracking form of Angelopoulos, Candes and Tibshirani 2023), so that coverage
comes out as stated over any long run of bars, whatever the market does. The location is multiplied by the slope of a recursive regression
of outcomes on locations, with forgetting, drawn towards one.

A state and a bar give the next state and nothing else does, in plain floats: a history at once, bar by bar, or continued after a stop give
the same bits. An outcome is used at the close of the bar that completes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import QUANTILES, Forecast, Timeframe

Floats = NDArray[np.float64]
Five: TypeAlias = tuple[float, float, float, float, float]

_STRETCH: Final = math.log(3.0)  # no quantile moves farther from the centre than three times, nor nearer than a third
_SLOPE: Final = (0.0, 2.0)
_CLIP: Final = 5.0  # outcomes beyond so many scales count as so many
_SPREAD: Final = 3.2897  # between the 5 % and 95 % quantiles of a standard normal


class PlainForecast(NamedTuple):
    """One forecast in plain log returns: location, scale, five quantiles, probability of a rise."""

    location: float
    scale: float
    quantiles: Five
    p_up: float


class Open(NamedTuple):
    """A forecast whose outcome is not known yet: the plain forecast, the number of its bar, the log entry price (0 before the fill)."""

    plain: PlainForecast
    bar: int
    entry: float


@dataclass(frozen=True)
class Rates:
    """How fast is learned: `quantile` a bar; `memory`, what an outcome weighs one bar later; `prior`, the weight of a slope of one.

    `intervals` alone leaves location, scale and odds, which are traded by, as they are.
    """

    quantile: float
    memory: float
    prior: float
    intervals: bool = False

    @classmethod
    def of(cls, learning: LearningSettings, timeframe: Timeframe) -> Rates:
        bars = learning.location_memory / timeframe.delta
        return cls(learning.quantile_rate, 0.5 ** (1.0 / max(bars, 1.0)), learning.location_prior, not learning.adaptive)


class Adaptation(NamedTuple):
    """What has been learned so far.

    `stretch` holds logarithms and `factors` what they are logarithms of; the slope is (prior + xy) / (prior + xx); `bar` counts bars.
    """

    stretch: Five = (0.0, 0.0, 0.0, 0.0, 0.0)
    factors: Five = (1.0, 1.0, 1.0, 1.0, 1.0)
    xy: float = 0.0
    xx: float = 0.0
    bar: int = 0
    waiting: tuple[Open, ...] = ()

    def slope(self, prior: float) -> float:
        """The factor on the location."""
        weight = prior + self.xx
        return min(max((prior + self.xy) / weight, _SLOPE[0]), _SLOPE[1]) if weight > 0.0 else 1.0


def step(
    state: Adaptation, plain: PlainForecast | None, opened: float, close: float, horizon: int, rates: Rates
) -> tuple[Adaptation, PlainForecast | None]:
    """Learn from the bar that closed, then correct the forecast made at its close.

    Args:
        told: that forecast as the model and its calibration give it; None where there is none.
        opened, close: prices of the bar.
    """
    bar, waiting = state.bar + 1, state.waiting
    if waiting and waiting[-1].bar == state.bar:  # made at the close before, so it is filled at this open
        waiting = (*waiting[:-1], Open(waiting[-1].plain, state.bar, math.log(opened)))
    if waiting and waiting[0].bar + horizon == bar:
        state = learn(state, waiting[0].plain, math.log(close) - waiting[0].entry, rates)
        waiting = waiting[1:]
    if plain is not None:
        waiting = (*waiting, Open(plain, bar, 0.0))
    state = Adaptation(state.stretch, state.factors, state.xy, state.xx, bar, waiting)
    return state, None if plain is None else corrected(state, plain, rates)


def learn(state: Adaptation, plain: PlainForecast, outcome: float, rates: Rates) -> Adaptation:
    """Take in one outcome."""
    quantiles, rate = _quantiles(state, plain, state.slope(rates.prior) * plain.location), rates.quantile
    logs = [
        min(max(log + rate * _missed(outcome, quantile, level), -_STRETCH), _STRETCH)
        for log, quantile, level in zip(state.stretch, quantiles, QUANTILES, strict=True)
    ]
    stretch = (logs[0], logs[1], 0.0, logs[3], logs[4])
    exp = math.exp
    factors = (exp(stretch[0]), exp(stretch[1]), 1.0, exp(stretch[3]), exp(stretch[4]))
    x, y = plain.location / plain.scale, min(max(outcome / plain.scale, -_CLIP), _CLIP)
    return Adaptation(stretch, factors, rates.memory * state.xy + x * y, rates.memory * state.xx + x * x, state.bar, state.waiting)


def corrected(state: Adaptation, plain: PlainForecast, rates: Rates) -> PlainForecast:
    """The forecast with what has been learned applied to it."""
    location = state.slope(rates.prior) * plain.location
    quantiles = _quantiles(state, plain, location)
    if rates.intervals:
        return plain._replace(quantiles=quantiles)
    scale = max((quantiles[4] - quantiles[0]) / _SPREAD, 1e-12)
    return PlainForecast(location, scale, quantiles, _moved_odds(plain, location, scale))


def _quantiles(state: Adaptation, plain: PlainForecast, location: float) -> Five:
    """Moved as the location is, each at its own stretch from the median, in rising order."""
    (q05, q25, q50, q75, q95), (f05, f25, _, f75, f95) = plain.quantiles, state.factors
    at = q50 + (location - plain.location)
    q = (at + (q05 - q50) * f05, at + (q25 - q50) * f25, at, at + (q75 - q50) * f75, at + (q95 - q50) * f95)
    if q[0] <= q[1] <= q[2] <= q[3] <= q[4]:
        return q
    a, b, c, d, e = sorted(q)
    return a, b, c, d, e


@dataclass(frozen=True)
class Past:
    """Plain forecasts at the bars of one symbol, NaN where there was none: times, numbers [n, 8] as in `NUMBERS`, opens and closes."""

    index: pd.DatetimeIndex
    numbers: Floats
    opened: Floats
    close: Floats


def adapt(past: Past, horizon: int, rates: Rates) -> tuple[Floats, Adaptation]:
    """The numbers corrected bar by bar from the first forecast on, and what has been learned by the end."""
    out, state = past.numbers.copy(), Adaptation()
    forecast_rows = np.flatnonzero(np.isfinite(past.numbers[:, 0]))
    first = int(forecast_rows[0]) if len(forecast_rows) else len(out)
    bars = zip(past.numbers[first:].tolist(), past.opened[first:].tolist(), past.close[first:].tolist(), strict=True)
    for row, (numbers, opened, close) in enumerate(bars, start=first):
        state, adapted = step(state, plain_forecast(numbers), opened, close, horizon, rates)
        if adapted is not None:
            out[row] = (adapted.location, adapted.scale, *adapted.quantiles, adapted.p_up)
    return out, state


class OnlineCorrector:
    """Corrects the newest forecast of one symbol, one bar after the other.

    Args:
        past: plain forecasts at every bar before a moment; asked for at the start, and after a skipped bar.
    """

    def __init__(self, horizon: int, rates: Rates, past: Callable[[pd.Timestamp], Past]) -> None:
        self._horizon = horizon
        self._rates = rates
        self._past = past
        self._state = Adaptation()
        self._at: datetime | None = None

    def correct(self, forecast: Forecast | None, bars: pd.DataFrame) -> Forecast | None:
        """The forecast made at the close of the last of `bars` as it is to be traded."""
        before = bars.index[-2].to_pydatetime() if len(bars) > 1 else None
        opened, close = float(bars["open"].iloc[-1]), float(bars["close"].iloc[-1])
        return self.follow(forecast, bars.index[-1].to_pydatetime(), before, opened, close)

    def follow(self, forecast: Forecast | None, at: datetime, before: datetime | None, opened: float, close: float) -> Forecast | None:
        """As `correct`, from the bar that opened at `at` alone; `before` is when the one before it did."""
        if self._at is None or before != self._at:
            _, self._state = adapt(self._past(pd.Timestamp(at)), self._horizon, self._rates)
        plain = None if forecast is None else PlainForecast(forecast.location, forecast.scale, forecast.quantiles, forecast.p_up)
        self._state, adapted = step(self._state, plain, opened, close, self._horizon, self._rates)
        self._at = at
        if forecast is None or adapted is None:
            return forecast
        return replace(forecast, location=adapted.location, scale=adapted.scale, quantiles=adapted.quantiles, p_up=adapted.p_up)


def plain_forecast(numbers: list[float]) -> PlainForecast | None:
    """One row of `NUMBERS`; None where nothing was forecast."""
    location, scale, q05, q25, q50, q75, q95, p_up = numbers
    return None if math.isnan(location) else PlainForecast(location, scale, (q05, q25, q50, q75, q95), p_up)


def _missed(outcome: float, quantile: float, level: float) -> float:
    """What the quantile's distance from the centre must give way by: outcomes beyond it pull it out, all others let it in a little."""
    tail, beyond = (level, outcome < quantile) if level < 0.5 else (1.0 - level, outcome > quantile)
    return (1.0 if beyond else 0.0) - tail


def _moved_odds(plain: PlainForecast, location: float, scale: float) -> float:
    """The odds of a rise grow with location over scale, as they do in the calibration."""
    if plain.location == 0.0 or not 0.0 < plain.p_up < 1.0:
        return plain.p_up
    log_odds = math.log(plain.p_up / (1.0 - plain.p_up)) * (location / plain.location) * (plain.scale / scale)
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -30.0), 30.0)))
