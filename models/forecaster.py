"""The forecaster port: closed bars in, a distribution of the coming log return out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from statistics import NormalDist
from typing import Any, Final, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, TooLittleHistory
from forwardtrader.core.types import QUANTILES, Forecast

NUMBERS: Final = ("location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up")
FORECAST_COLUMNS: Final = (*NUMBERS, "model_id")
Floats = NDArray[np.float64]


class ForecastSource(Protocol):
    """A source of forecasts, for the whole history or for the newest closed bar; both give the same numbers.

    `bars` is indexed by the UTC open time of each closed bar and holds open, high, low, close, volume.
    All returned numbers are plain log returns over `horizon` bars that begin with the bar after the one named.
    """

    @property
    def horizon(self) -> int:
        """Bars ahead of the forecast that is traded."""
        ...

    @property
    def warm_up(self) -> int:
        """Closed bars needed before the first forecast, that bar included."""
        ...

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        """`FORECAST_COLUMNS` on the same index; NaN and "" where no model is in force or the bars before are too few."""
        ...

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        """The forecast made at the close of the last bar of `bars` (at least `warm_up` rows); None where no model is in force."""
        ...


@runtime_checkable
class SourceOfFeeds(Protocol):
    """Forecast sources of several symbols, found by the name of a feed."""

    def source_of(self, name: str) -> ForecastSource:
        """The source for the feed of that name; the only one there is, whatever the name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBar:
    """The newest closed bar; earlier bars are fetched only on request.

    Attributes:
        at, before: UTC open time of the bar, and of the one before it; None where it is the first.
        frame: gives as many of the newest bars as the source's `warm_up` says, this one last.
        peers: gives open, high, low, close and volume of the other symbols' bars that opened at the same time, as far as they are at hand.
    """

    at: datetime
    before: datetime | None
    open: float
    high: float
    low: float
    close: float
    volume: float
    frame: Callable[[], pd.DataFrame]
    peers: Callable[[], Mapping[str, tuple[float, float, float, float, float]]] = field(default=dict)


@runtime_checkable
class IncrementalSource(Protocol):
    """A `ForecastSource` that is updated bar by bar, so that a new bar is cheap."""

    def on_bar(self, bar: NewBar) -> Forecast | None:
        """What `latest` gives for `bar.frame()`."""
        ...

    def prepare(self) -> None:
        """Do ahead of the next bar what does not depend on it; called while nothing else is to be done, any number of times."""
        ...


@runtime_checkable
class DatedSource(Protocol):
    """A `ForecastSource` that knows how old its models are."""

    def trained_at(self, at: datetime) -> datetime | None:
        """When the model in force at the bar that opens at `at` was trained; None where none is in force, or nobody knows."""
        ...


class LastValueForecaster:
    """Random-walk forecaster: location zero, scale from the root mean square of the last `window` one-bar log returns.

    The baseline of every report, the stand-in of fast tests, and what is left when no model is fit to use.
    """

    model_id: Final = "last_value"

    def __init__(self, horizon: int = 1, window: int = 168) -> None:
        if horizon < 1 or window < 2:
            raise InvalidSetting(f"horizon {horizon} and window {window}: give at least 1 and 2 bars")
        self.horizon = horizon
        self.window = window
        self.warm_up = window + 1

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        scale = np.full(len(bars), np.nan)
        if len(bars) >= self.warm_up:
            scale[self.window :] = self._scale(bars["close"].to_numpy(dtype=np.float64))
        return normal_frame(bars.index, np.where(np.isnan(scale), np.nan, 0.0), scale, self.model_id)

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        _require(bars, self.warm_up)
        frame = self.batch(bars.iloc[-self.warm_up :])
        return forecast_at(frame, len(frame) - 1, self.horizon)

    def _scale(self, close: Floats) -> Floats:
        squares = np.diff(np.log(close)) ** 2
        rows = len(squares) - self.window + 1
        total = np.zeros(rows)
        for lag in range(self.window):  # one order of addition however many rows there are: batch equals latest bit for bit
            total += squares[lag : lag + rows]
        return cast(Floats, np.sqrt(total / self.window * self.horizon))


class RecordedForecasts:
    """Forecasts made earlier, looked up by the open time of the bar.

    Args:
        frame: `FORECAST_COLUMNS`, indexed by UTC bar-open time or with a `timestamp` column; a `horizon` column is filtered by
            `horizon`; a `close` column, where present, must equal the closes of the bars that are asked about.
        horizon: bars ahead; may be left out where the frame holds one horizon only.
        warm_up: bars a caller must have seen first.
        timeframe_s: seconds of one bar, so that bars of another length are refused early; 0 where unknown.

    Raises:
        FingerprintMismatch: a bar is asked about that was not recorded, or whose close differs.
        InvalidSetting: the frame lacks a column, or its horizon is ambiguous or absent.
    """

    def __init__(self, frame: pd.DataFrame, horizon: int | None = None, *, warm_up: int = 1, timeframe_s: int = 0) -> None:
        self.horizon, chosen = _one_horizon(frame, horizon)
        self.warm_up = warm_up
        self.timeframe_s = timeframe_s
        indexed = chosen.set_index("timestamp") if "timestamp" in chosen.columns else chosen
        missing = [name for name in FORECAST_COLUMNS if name not in indexed.columns]
        if missing:
            raise InvalidSetting(f"recorded forecasts lack the columns {', '.join(missing)}")
        if indexed.index.has_duplicates:
            raise InvalidSetting("recorded forecasts hold a bar twice; pass one symbol and one horizon")
        self._frame = indexed.loc[:, list(FORECAST_COLUMNS)]
        self._close = indexed["close"].to_numpy(dtype=np.float64) if "close" in indexed.columns else None
        self._numbers = self._frame.loc[:, list(NUMBERS)].to_numpy(dtype=np.float64)
        self._ids = self._frame["model_id"].astype(str).to_list()

    @cached_property
    def _row_of(self) -> dict[pd.Timestamp, int]:
        """Asked for bar by bar only."""
        return {at: row for row, at in enumerate(self._frame.index)}

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        rows = self._rows(bars)
        return self._frame.iloc[rows].set_axis(bars.index, axis=0)

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        at = bars.index[-1]
        row = self._row_of.get(at)
        if row is None or (self._close is not None and self._close[row] != bars["close"].to_numpy()[-1]):
            self._rows(bars.iloc[-1:])  # says what is wrong
            raise FingerprintMismatch(f"no forecast was recorded for the bar {at}")
        return _forecast(at, self.horizon, self._numbers[row], self._ids[row])

    def _rows(self, bars: pd.DataFrame) -> NDArray[np.intp]:
        rows = self._frame.index.get_indexer(bars.index)
        unknown = rows < 0
        if unknown.any():
            raise FingerprintMismatch(f"no forecast was recorded for the bar {bars.index[int(unknown.argmax())]}; forecast these bars anew")
        if self._close is not None:
            differs = self._close[rows] != bars["close"].to_numpy(dtype=np.float64)
            if differs.any():
                raise FingerprintMismatch(f"the bar {bars.index[int(differs.argmax())]} closed elsewhere when its forecast was recorded")
        return cast("NDArray[np.intp]", rows)


def normal_frame(index: pd.Index[Any], location: Floats, scale: Floats, model_id: str) -> pd.DataFrame:
    """`FORECAST_COLUMNS` of a normal distribution; rows whose scale is NaN get no model id."""
    frame = pd.DataFrame({"location": location, "scale": scale}, index=index)
    for name, level in zip(("q05", "q25", "q50", "q75", "q95"), QUANTILES, strict=True):
        frame[name] = location + NormalDist().inv_cdf(level) * scale
    frame["p_up"] = _normal_p_up(location, scale)
    frame["model_id"] = np.where(np.isnan(scale), "", model_id)
    return frame


def forecast_at(frame: pd.DataFrame, row: int, horizon: int) -> Forecast | None:
    """One row of a forecast frame as a `Forecast`; None where no model was in force."""
    numbers = frame.loc[:, list(NUMBERS)].iloc[row].to_numpy(dtype=np.float64)
    return _forecast(frame.index[row], horizon, numbers, str(frame["model_id"].iloc[row]))


def _forecast(at: datetime, horizon: int, numbers: Floats, model_id: str) -> Forecast | None:
    if not model_id or np.isnan(numbers[0]):
        return None
    location, scale, q05, q25, q50, q75, q95, p_up = (float(number) for number in numbers)
    return Forecast(
        at=at, horizon=horizon, location=location, scale=scale, quantiles=(q05, q25, q50, q75, q95), p_up=p_up, model_id=model_id
    )


def _normal_p_up(location: Floats, scale: Floats) -> Floats:
    """1 - CDF(0); a half wherever location is zero, whatever the scale."""
    standard = NormalDist()
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(location == 0.0, 0.0, location / scale)
    if not np.any(z):
        return np.where(np.isnan(scale), np.nan, 0.5)
    return np.array([np.nan if np.isnan(s) else standard.cdf(v) for v, s in zip(z, scale, strict=True)])


def _one_horizon(frame: pd.DataFrame, horizon: int | None) -> tuple[int, pd.DataFrame]:
    if "horizon" not in frame.columns:
        if horizon is None:
            raise InvalidSetting("recorded forecasts without a horizon column need the horizon as an argument")
        return horizon, frame
    known = sorted({int(value) for value in frame["horizon"].unique()})
    chosen = known[0] if horizon is None and len(known) == 1 else horizon
    if chosen not in known:
        raise InvalidSetting(f"horizon {horizon} was not recorded; the forecasts hold {', '.join(map(str, known))}")
    return int(chosen), frame.loc[frame["horizon"] == chosen]


def _require(bars: pd.DataFrame, rows: int) -> None:
    if len(bars) < rows:
        raise TooLittleHistory(f"{len(bars)} bars are too few for a forecast; give at least {rows}")
