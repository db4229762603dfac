"""The walk-forward calendar of retraining; the only place that cuts time.

Boundaries stand at fixed distances from 2000-01-01 00:00 UTC, whatever day a run begins, so that every run and every live session
retrains at the same moments. A model is trained on the bars that closed by its boundary, minus the purge and the embargo, and takes
effect `deployment_lag` bars after it.

Every `anew_every`-th boundary is an anchor: its model is trained from scratch. A model of a boundary between is warm-started from the
one of the anchor before it, in fewer updates, on its own window. Which one that is depends on the moment alone too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe

ANCHOR: Final = datetime(2000, 1, 1, tzinfo=UTC)
LEAST_TRAINING_SHARE: Final = 0.9
LEAST_AFTER_CHANGE: Final = 336  # bars that a model learns from at least, however lately the market changed
_SATURDAY: Final = 5
_WEEK_S: Final = 7 * 86_400


@dataclass(frozen=True)
class Fold:
    """One model's training and serving rows in its candle frame; each range is [first, last).

    Rows [train_first, train_last) may be supervised: their targets end before the boundary. The model forecasts at the close of rows
    [effective_first, effective_last).
    """

    boundary: datetime
    train_first: int
    train_last: int
    effective_first: int
    effective_last: int

    @property
    def train_bars(self) -> int:
        return self.train_last - self.train_first


def boundaries(first: datetime, last: datetime, every: timedelta) -> list[datetime]:
    """The boundaries in [first, last), and the one that is in force at `first`."""
    number = (first - ANCHOR) // every
    out = []
    while (moment := ANCHOR + number * every) < last:
        out.append(moment)
        number += 1
    return out


def anchor(boundary: datetime, settings: ModelSettings) -> datetime:
    """The newest anchor at or before a boundary."""
    span = settings.retrain_every * settings.anew_every
    return ANCHOR + (boundary - ANCHOR) // span * span


def folds(
    index: pd.DatetimeIndex, first: datetime, last: datetime, *, settings: ModelSettings, timeframe: Timeframe, warm_up: int
) -> list[Fold]:
    """Cut the training and serving rows of every model that a run from `first` up to (not with) `last` needs.

    Args:
        index: bar-open times of all candles at hand, UTC, rising.
        warm_up: rows at the start of the frame whose features are incomplete.

    Raises:
        TooLittleHistory: the bars before `first` do not fill one training window; the message says how much there is and the first
            day that would do.
    """
    serving = _serving(index, first, last, settings, timeframe, warm_up)
    if not serving or not filled(serving[0], settings, timeframe, index):
        raise TooLittleHistory(_shortage(index, first, last, settings, timeframe, warm_up))
    return serving


def folds_once_filled(
    index: pd.DatetimeIndex, first: datetime, last: datetime, *, settings: ModelSettings, timeframe: Timeframe, warm_up: int
) -> list[Fold]:
    """The same for a symbol that may wait: from the first boundary on whose training window its bars fill; none where none is."""
    serving = _serving(index, first, last, settings, timeframe, warm_up)
    begun = next((n for n, fold in enumerate(serving) if filled(fold, settings, timeframe, index)), len(serving))
    return serving[begun:]


def served_from(cut: list[Fold], index: pd.DatetimeIndex, moment: datetime) -> list[Fold]:
    """The folds that forecast a bar from `moment` on, and no earlier bar."""
    first = int(index.searchsorted(pd.Timestamp(moment)))
    return [replace(fold, effective_first=max(fold.effective_first, first)) for fold in cut if fold.effective_last > first]


def _serving(
    index: pd.DatetimeIndex, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, warm_up: int
) -> list[Fold]:
    """The folds that forecast a bar from `first` on, whether or not their training windows are filled."""
    moments = boundaries(first, last, settings.retrain_every)
    cut = [
        fold_at(index, moment, moments[i + 1] if i + 1 < len(moments) else last, settings, timeframe, warm_up)
        for i, moment in enumerate(moments)
    ]
    run_first = int(index.searchsorted(pd.Timestamp(first)))
    # The model before the first boundary would serve for a few bars only: the run starts without a forecast rather than train it.
    brief = len(cut) > 1 and cut[0].effective_last - run_first <= settings.deployment_lag
    return [fold for fold in cut[brief:] if fold.effective_last > max(fold.effective_first, run_first)]


def lead_bars(settings: ModelSettings, warm_up: int) -> int:
    """Warm-up length: bars of history that a first forecast needs besides the training window of its model.

    Args:
        warm_up: bars that the slowest feature looks back over.
    """
    return warm_up + settings.context + purge(settings) + settings.embargo + settings.deployment_lag


def purge(settings: ModelSettings) -> int:
    """Bars left out before a boundary, so that no training target reaches past it: the longest horizon."""
    return max(settings.horizons)


def fold_at(
    index: pd.DatetimeIndex, boundary: datetime, end: datetime, settings: ModelSettings, timeframe: Timeframe, warm_up: int,
    changed: datetime | None = None,
) -> Fold:  # fmt: skip
    """The fold of one boundary, in force until `end` or the end of the candles; what each is for stands at `folds`.

    Args:
        changed: when the market was found to have changed: nothing older is learned from, as long as `LEAST_AFTER_CHANGE` bars are left.
    """
    closed = int(index.searchsorted(pd.Timestamp(boundary)))
    start = 0 if settings.expanding else int(index.searchsorted(pd.Timestamp(boundary - settings.train_window)))
    if changed is not None:
        start = max(start, min(int(index.searchsorted(pd.Timestamp(changed))), closed - LEAST_AFTER_CHANGE))
    lag = settings.deployment_lag * timeframe.delta  # in time, since a session does not know which bars will be missing
    return Fold(
        boundary=boundary,
        train_first=max(start, warm_up),
        train_last=max(closed - purge(settings) - settings.embargo, 0),
        effective_first=int(index.searchsorted(pd.Timestamp(aligned(boundary, timeframe) + lag))),
        effective_last=int(index.searchsorted(pd.Timestamp(aligned(end, timeframe) + lag))),
    )


def aligned(moment: datetime, timeframe: Timeframe) -> datetime:
    """The first bar-open time not before `moment`."""
    return ANCHOR + -((ANCHOR - moment) // timeframe.delta) * timeframe.delta


def open_share(index: pd.DatetimeIndex, timeframe: Timeframe) -> float:
    """The share of the time in which a market prints bars: 1 for one that never closes, less for one that rests at night or at weekends."""
    if timeframe.seconds >= 86400:
        return 5 / 7
    if len(index) < 2 or index[-1] - index[0] < pd.Timedelta(days=21) or bool((index.day_of_week == _SATURDAY).any()):
        return 1.0
    _, bars = np.unique(index.as_unit("s").asi8 // _WEEK_S, return_counts=True)
    return min(1.0, float(np.median(bars)) * timeframe.seconds / _WEEK_S)


def filled(fold: Fold, settings: ModelSettings, timeframe: Timeframe, index: pd.DatetimeIndex) -> bool:
    """Whether a fold has the training window that was asked for, but for what outages, nights and weekends take away."""
    at_hand = fold.train_bars + purge(settings) + settings.embargo
    return fold.train_bars > 0 and at_hand >= _needed(settings, timeframe) * open_share(index, timeframe)


def _needed(settings: ModelSettings, timeframe: Timeframe) -> int:
    return int(settings.train_window / timeframe.delta * LEAST_TRAINING_SHARE)


def _shortage(index: pd.DatetimeIndex, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, warm_up: int) -> str:
    """What is missing, and what works: the nearest first day within the candles, or else the longest training window."""
    have = max(int(index.searchsorted(pd.Timestamp(first))) - warm_up, 0)
    needed = math.ceil(_needed(settings, timeframe) * open_share(index, timeframe))
    days = settings.train_window.days
    short = f"{have:,} bars of history before {first:%Y-%m-%d} do not fill a training window of {days} days"
    counted = f"{short}: {needed:,} are needed, after {warm_up:,} that warm up the features"
    if (day := _first_day(index, first, last, settings, timeframe, warm_up)) is not None:
        return f"{counted}; start at --from {day:%Y-%m-%d} or later, or set a shorter --train-window"
    window = _longest_window(index, first, last, settings, timeframe, warm_up)
    if window is not None:
        return f"{counted}, and no later --from has so many; set --train-window {window.days}d, or get more history"
    return f"{counted}, and the {len(index):,} candles at hand are too few for any; get more history"


def _first_day(
    index: pd.DatetimeIndex, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, warm_up: int
) -> datetime | None:
    """The first boundary from `first` on whose model has a filled training window and bars to forecast; None where there is none."""
    if len(index) <= warm_up:
        return None
    every = settings.retrain_every
    end = min(last, index[-1].to_pydatetime())
    day = ANCHOR + -((ANCHOR - max(first, index[warm_up].to_pydatetime())) // every) * every
    while day < end:
        serving = _serving(index, day, min(last, day + 2 * every), settings, timeframe, warm_up)
        if serving and filled(serving[0], settings, timeframe, index):
            return day
        day += every
    return None


def _longest_window(
    index: pd.DatetimeIndex, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, warm_up: int
) -> timedelta | None:
    """A training window, in whole days, that the candles do fill before some day in the range; None where not even ten do."""
    window = min(settings.train_window, index[-1].to_pydatetime() - index[0].to_pydatetime())
    while (window := timedelta(days=int(window.days * 0.8))) >= timedelta(days=10):
        shorter = settings.model_copy(update={"train_window": window})
        serving = _serving(index, first, last, shorter, timeframe, warm_up)
        if serving and filled(serving[0], shorter, timeframe, index):
            return window
    return None
