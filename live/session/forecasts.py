"""The forecasts of a session: made once, kept, and after a restart read instead of made again."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd

from forwardtrader.core.types import Forecast
from forwardtrader.live.output.store import SessionStore
from forwardtrader.models.forecaster import FORECAST_COLUMNS, NewBar


class Maker(Protocol):
    """Makes the forecast of one bar; see `models.forecaster.ForecastSource`."""

    @property
    def horizon(self) -> int: ...

    @property
    def warm_up(self) -> int: ...

    def latest(self, bars: pd.DataFrame) -> Forecast | None: ...


class SessionForecasts:
    """A `ForecastSource` around another one for one symbol.

    Args:
        source: makes what is not known yet.
        known: gives the forecast that an earlier process of this session made of a bar, by UTC bar-open time; None where it made none.
        since: bars before it need no forecast: nothing is decided there.
    """

    def __init__(self, source: Maker, known: Callable[[datetime], Forecast | None], since: datetime) -> None:
        self.source = source
        self.horizon = source.horizon
        self.warm_up = source.warm_up
        self.newest: Forecast | None = None
        self._known = known
        self._since = since
        self._made: list[Forecast] = []

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        rows = [self.latest(bars.iloc[: n + 1]) if n + 1 >= self.warm_up else None for n in range(len(bars))]
        return pd.DataFrame([_row(told) for told in rows], index=bars.index, columns=list(FORECAST_COLUMNS))

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return self._told(bars.index[-1].to_pydatetime(), lambda: self.source.latest(bars))

    def on_bar(self, bar: NewBar) -> Forecast | None:
        on_bar = getattr(self.source, "on_bar", None)  # asked for at every bar, where an isinstance() of a protocol takes long
        return self._told(bar.at, (lambda: self.source.latest(bar.frame())) if on_bar is None else (lambda: on_bar(bar)))

    def prepare(self) -> None:
        prepare = getattr(self.source, "prepare", None)
        if prepare is not None:
            prepare()

    def _told(self, at: datetime, make: Callable[[], Forecast | None]) -> Forecast | None:
        if at < self._since:
            return None
        told = self._known(at)
        if told is None:
            told = make()
            if told is not None:
                self._made.append(told)
        self.newest = told
        return told

    def take_made(self) -> list[Forecast]:
        """The forecasts made since the last call."""
        made, self._made = self._made, []
        return made


def _row(told: Forecast | None) -> list[Any]:
    return [math.nan] * 8 + [""] if told is None else [told.location, told.scale, *told.quantiles, told.p_up, told.model_id]


def known_forecasts(store: SessionStore, symbol: str, until: int | None) -> Callable[[datetime], Forecast | None]:
    """For `SessionForecasts`: what the store has of bars up to the one that opened at `until` (ms); nothing where that is None.

    One bar is looked up at a time: a session that runs for months has more forecasts than fit beside it.
    """
    if until is None:
        return lambda _at: None
    newest = datetime.fromtimestamp(until / 1000, UTC)
    return lambda at: store.forecast(symbol, at) if at <= newest else None
