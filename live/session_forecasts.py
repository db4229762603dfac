"""The forecasts of a session: made once, kept, and after a restart read instead of made again."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from core.types import Forecast
from models.forecaster import FORECAST_COLUMNS, NewBar


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
        known: forecasts of earlier bars of this session, by UTC bar-open time.
        since: bars before it need no forecast: nothing is decided there.
    """

    def __init__(self, source: Maker, known: dict[datetime, Forecast], since: datetime) -> None:
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

    def hear(self, bar: NewBar) -> Forecast | None:
        hear = getattr(self.source, "hear", None)  # asked for at every bar, where an isinstance() of a protocol takes long
        return self._told(bar.at, (lambda: self.source.latest(bar.frame())) if hear is None else (lambda: hear(bar)))

    def prepare(self) -> None:
        prepare = getattr(self.source, "prepare", None)
        if prepare is not None:
            prepare()

    def rehearse(self) -> None:
        rehearse = getattr(self.source, "rehearse", None)
        if rehearse is not None:
            rehearse()

    def _told(self, at: datetime, make: Callable[[], Forecast | None]) -> Forecast | None:
        if at < self._since:
            return None
        told = self._known.pop(at, None)
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


def known_forecasts(table: pd.DataFrame, symbol: str) -> dict[datetime, Forecast]:
    """Forecasts of one symbol from `SessionStore.forecasts`."""
    return {row["timestamp"].to_pydatetime(): _forecast(row) for row in table[table["symbol"] == symbol].to_dict("records")}


def _forecast(row: dict[Any, Any]) -> Forecast:
    quantiles = (float(row["q05"]), float(row["q25"]), float(row["q50"]), float(row["q75"]), float(row["q95"]))
    return Forecast(
        at=row["timestamp"].to_pydatetime(), horizon=int(row["horizon"]), location=float(row["location"]), scale=float(row["scale"]),
        quantiles=quantiles, p_up=float(row["p_up"]), model_id=str(row["model_id"]),
    )  # fmt: skip
