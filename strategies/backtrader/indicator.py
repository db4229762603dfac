"""The forecast as Backtrader lines, for our strategy and for anybody's."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Forecast
from forwardtrader.models.forecaster import ForecastSource, IncrementalSource, NewBar, SourceOfFeeds
from forwardtrader.strategies.backtrader.bars_frame import bar_at, epoch_seconds, last_frame, whole_frame
from forwardtrader.strategies.feed_context import FeedContext, traded_feeds

_COLUMNS: Final = {"location": "location", "lower": "q05", "upper": "q95", "p_up": "p_up", "scale": "scale"}
_STEPS_TO_BE_SURE: Final = 4


class LSTMForecast(bt.Indicator):
    """The forecast made at the close of each bar: plain log returns over the source's horizon (0.01 is about one per cent).

    Lines: `location` (centre), `lower` and `upper` (5 % and 95 % quantiles), `p_up` (probability of a rise), `scale` (spread). NaN
    where no model is in force. `once` (whole history) and `next` (bar by bar) give the same numbers.

    Params:
        source: a `ForecastSource`, or what has one for each symbol (`SourceOfFeeds`, as a fitted `WalkForward`); left out, it is the one
            that `strategies.feed_context.attach` put on the feed.

    Raises:
        InvalidSetting: there is no source, or the feed's bars are not as long as those the source was made for.

    It works in any strategy of any cerebro, `runonce`, `preload` and `exactbars` as you like:

        class BuyConfidence(bt.Strategy):
            def __init__(self):
                self.forecast = LSTMForecast(self.data, source=RecordedForecasts(frame, horizon=24))

            def next(self):
                if self.forecast.p_up[0] > 0.6 and not self.position:
                    self.buy(size=0.1)
                elif self.forecast.p_up[0] < 0.5 and self.position:
                    self.close()
    """

    lines = tuple(_COLUMNS)
    params = (("source", None),)
    plotinfo = {"subplot": True, "plotname": "forecast", "plothlines": [0.0]}  # noqa: RUF012  # Backtrader's metaclass reads it
    plotlines = {"p_up": {"_plotskip": True}, "scale": {"_plotskip": True}, "lower": {"ls": ":"}, "upper": {"ls": ":"}}  # noqa: RUF012

    def __init__(self) -> None:
        context = getattr(self.data, "context", None)
        self.source = _source(self.p.source, context, self.data)
        self._following = self.source if isinstance(self.source, IncrementalSource) else None
        self._seconds = _bar_seconds(self.source, context)
        self._before, self._closest, self._steps = -math.inf, math.inf, 0
        self.addminperiod(self.source.warm_up)

    def preonce(self, start: int, end: int) -> None:
        """Nothing is known during the warm-up: the lines hold NaN already."""

    def oncestart(self, start: int, end: int) -> None:
        rows = self.data.buflen()
        bars = whole_frame(self.data, rows)
        if rows > 1:
            self._check_spacing(float(np.diff(bars.index.to_numpy(dtype=np.int64)).min()) / 1e9, rows)
        frame = self.source.batch(bars)
        for line, column in _COLUMNS.items():
            np.frombuffer(getattr(self.lines, line).array)[start:rows] = frame[column].to_numpy(dtype=np.float64)[start:]

    def once(self, start: int, end: int) -> None:
        """All was done by `oncestart`."""

    def advance(self, size: int = 1) -> None:
        """As Backtrader's, in one step a line; called for every bar of a run whose lines lie whole in memory."""
        owner: Any = self
        lines = owner.lines.lines
        if lines[0].lencount < len(self._clock):
            for line in lines:
                line._idx += size
                line.lencount += size

    def next(self) -> None:
        now = epoch_seconds(self.data.datetime[0])
        if now == self._before:  # another symbol has a bar that this one lacks
            return
        self._closest, self._before, self._steps = min(self._closest, now - self._before), now, self._steps + 1
        self._check_spacing(self._closest, self._steps)
        follower = self._following
        self._show(self.source.latest(self._frame()) if follower is None else follower.on_bar(self._new_bar(now)))

    def _frame(self) -> pd.DataFrame:
        return last_frame(self.data, self.source.warm_up)

    def _new_bar(self, now: float) -> NewBar:
        data = self.data
        before = epoch_seconds(data.datetime[-1]) if len(data) > 1 else None
        return NewBar(
            at=datetime.fromtimestamp(now, UTC), before=None if before is None else datetime.fromtimestamp(before, UTC),
            open=data.open[0], high=data.high[0], low=data.low[0], close=data.close[0], volume=data.volume[0], frame=self._frame,
            peers=self._peers,
        )  # fmt: skip

    def _peers(self) -> dict[str, tuple[float, float, float, float, float]]:
        """The bars of the other symbols that opened with the present one, as far as the feeds have shown them."""
        others = [data for data in traded_feeds(self.data._env.datas) if data is not self.data]
        found = {data._name: bar_at(data, self.data.datetime[0]) for data in others}
        return {name: bar for name, bar in found.items() if bar is not None}

    def _show(self, forecast: Forecast | None) -> None:
        if forecast is None:
            return
        lines: Any = self.lines
        lines.location[0] = forecast.location
        lines.lower[0] = forecast.quantiles[0]
        lines.upper[0] = forecast.quantiles[-1]
        lines.p_up[0] = forecast.p_up
        lines.scale[0] = forecast.scale

    def _check_spacing(self, closest: float, steps: int) -> None:
        """A gap makes some bars lie farther apart, never all of them, and nothing makes them lie closer."""
        if not self._seconds or closest == self._seconds or (closest > self._seconds and steps < _STEPS_TO_BE_SURE):
            return
        raise InvalidSetting(
            f"{getattr(self.data, '_name', '') or 'the feed'} has bars of {closest:g} s, its forecasts are made for bars of "
            f"{self._seconds:g} s; put the indicator on the feed that was not resampled"
        )


def reads_forecasts(owner: Any) -> bool:
    """Whether a strategy, or an indicator in it, looks at an `LSTMForecast`."""
    own = owner.getindicators()
    return any(isinstance(indicator, LSTMForecast) or reads_forecasts(indicator) for indicator in own)


def _source(given: Any, context: FeedContext | None, data: Any) -> ForecastSource:
    source = given if given is not None else getattr(context, "source", None)
    if isinstance(source, SourceOfFeeds):
        source = source.source_of(getattr(data, "_name", "") or "")
    if source is None:
        name = getattr(data, "_name", "") or "the feed"
        raise InvalidSetting(f"{name} carries no forecasts; pass source=..., or put the indicator on the feed that assembly built")
    return source


def _bar_seconds(source: ForecastSource, context: FeedContext | None) -> float:
    """Seconds of the bars the forecasts are made for; 0 where neither source nor feed knows."""
    stated = float(getattr(source, "timeframe_s", 0) or 0)
    return stated or float(context.timeframe.seconds if context is not None else 0)
