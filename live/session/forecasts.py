"""The forecasts of a session: made once and recorded; after a restart they are read, not made again."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import pandas as pd

from forwardtrader.core.types import Forecast
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.strategy_guard import FATAL
from forwardtrader.models.forecaster import FORECAST_COLUMNS, DatedSource, IncrementalSource, NewBar

T = TypeVar("T")


def reraise(error: Exception) -> None:
    """What becomes of an error that nobody takes."""
    raise error


class Forecasting(Protocol):
    """Makes the forecast of one bar; see `models.forecaster.ForecastSource`."""

    @property
    def horizon(self) -> int: ...

    @property
    def warm_up(self) -> int: ...

    def latest(self, bars: pd.DataFrame) -> Forecast | None: ...


class SessionForecasts:
    """A `ForecastSource` around another one for one symbol.

    Args:
        source: makes forecasts that are not recorded.
        known: the forecast that an earlier process recorded, by UTC bar-open time; None where there is none.
        since: earlier bars get no forecast, since nothing is decided there.
        failed: told of an error that a forecast could not be made for, as of a damaged factor file; there is none at that bar then.
        worked: told of the first forecast after one.
    """

    def __init__(
        self, source: Forecasting, known: Callable[[datetime], Forecast | None], since: datetime, *,
        failed: Callable[[Exception], None] = reraise, worked: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.source = source
        self.horizon = source.horizon
        self.warm_up = source.warm_up
        self.newest: Forecast | None = None
        self._known = known
        self._since = since
        self._made: list[Forecast] = []
        self._failed = failed
        self._worked = worked
        self._has_failed = False

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        rows = [self.latest(bars.iloc[: n + 1]) if n + 1 >= self.warm_up else None for n in range(len(bars))]
        return pd.DataFrame([_row(forecast) for forecast in rows], index=bars.index, columns=list(FORECAST_COLUMNS))

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return self._forecast(bars.index[-1].to_pydatetime(), lambda: self.source.latest(bars))

    def trained_at(self, at: datetime) -> datetime | None:
        """When the model in force at the bar that opens at `at` was trained; None where none is, or nobody knows."""
        return self.source.trained_at(at) if isinstance(self.source, DatedSource) else None

    def on_bar(self, bar: NewBar) -> Forecast | None:
        source = self.source
        return self._forecast(bar.at, lambda: source.on_bar(bar) if isinstance(source, IncrementalSource) else source.latest(bar.frame()))

    def prepare(self) -> None:
        if isinstance(self.source, IncrementalSource):
            self._tried(self.source.prepare)

    def _forecast(self, at: datetime, make: Callable[[], Forecast | None]) -> Forecast | None:
        if at < self._since:
            return None
        forecast = self._known(at)
        if forecast is None:
            forecast = self._tried(make)
            if self._has_failed and forecast is not None:
                self._has_failed = False
                self._worked()
            if forecast is not None:
                self._made.append(forecast)
        self.newest = forecast
        return forecast

    def _tried(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - factors are files of others, and models run on them; the session survives both
            self._has_failed = True
            self._failed(error)
            return None

    def take_made(self) -> list[Forecast]:
        """The forecasts made since the last call."""
        made, self._made = self._made, []
        return made


def _row(made: Forecast | None) -> list[float | str]:
    return [*[math.nan] * 8, ""] if made is None else [made.location, made.scale, *made.quantiles, made.p_up, made.model_id]


def known_forecasts(store: SessionStore, symbol: str, until: int | None) -> Callable[[datetime], Forecast | None]:
    """The recorded forecasts of bars up to the one that opened at `until` (ms UTC), for `SessionForecasts`; none where that is None.

    They are looked up bar by bar: the forecasts of months need not fit into memory.
    """
    if until is None:
        return lambda _at: None
    newest = datetime.fromtimestamp(until / 1000, UTC)
    return lambda at: store.forecast(symbol, at) if at <= newest else None
