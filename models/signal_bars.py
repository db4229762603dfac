"""Bars that features see in place of a feed's own, where its venue could not be trusted; what is traded and filled stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol, cast

import numpy as np
import pandas as pd

from forwardtrader.core.types import OHLCV, Forecast
from forwardtrader.models.forecaster import DatedSource, ForecastSource, IncrementalSource, NewBar

Prices = tuple[float, float, float, float, float]
_MS: Final = 1_000_000


class SignalBars:
    """Open, high, low, close and volume by open time (ms UTC). One thread adds, others may read."""

    def __init__(self, bars: Iterable[tuple[int, Prices]] = ()) -> None:
        self._bars: dict[int, Prices] = dict(bars)

    def __len__(self) -> int:
        return len(self._bars)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> SignalBars:
        """The bars of a candle frame."""
        times = (pd.DatetimeIndex(frame.index).as_unit("ns").asi8 // _MS).tolist()
        rows = zip(*(frame[name].to_numpy(dtype=np.float64).tolist() for name in OHLCV), strict=True)
        return cls(zip(times, rows, strict=True))

    def add(self, at: int, prices: Prices) -> None:
        """Add a bar; one that is known stays, since it was decided on."""
        self._bars.setdefault(at, prices)

    def at(self, moment: int) -> Prices | None:
        """The bar that opened then; None where the feed's own is seen."""
        return self._bars.get(moment)

    def seen(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A candle frame as features see it: the same one where nothing is to be replaced."""
        known = dict(self._bars)
        if not known:
            return frame
        index = pd.DatetimeIndex(frame.index)
        rows = index.get_indexer(pd.DatetimeIndex(pd.to_datetime(list(known), unit="ms", utc=True)).as_unit("ns"))
        chosen = [(int(row), prices) for row, prices in zip(rows, known.values(), strict=True) if row >= 0]
        if not chosen:
            return frame
        places = np.array([row for row, _ in chosen])
        columns = np.array([prices for _, prices in chosen], dtype=np.float64)
        found = frame.copy()
        for n, name in enumerate(OHLCV):
            values = found[name].to_numpy(dtype=np.float64, copy=True)
            values[places] = columns[:, n]
            found[name] = values
        return found


class NewestForecast(Protocol):
    """The part of a `ForecastSource` that a session needs."""

    @property
    def horizon(self) -> int: ...

    @property
    def warm_up(self) -> int: ...

    def latest(self, bars: pd.DataFrame) -> Forecast | None: ...


class SignalSource:
    """A `ForecastSource` whose forecasts are made of the bars that features see.

    Args:
        books: of all symbols, for features that look at others.
    """

    def __init__(self, source: NewestForecast, symbol: str, books: Mapping[str, SignalBars]) -> None:
        self.source, self.horizon, self.warm_up = source, source.horizon, source.warm_up
        self.timeframe_s = float(getattr(source, "timeframe_s", 0) or 0)
        self._own, self._books = books[symbol], books

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        return cast(ForecastSource, self.source).batch(self._own.seen(bars))

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return self.source.latest(self._own.seen(bars))

    def on_bar(self, bar: NewBar) -> Forecast | None:
        source = self.source
        if not isinstance(source, IncrementalSource):
            return source.latest(self._own.seen(bar.frame()))
        return source.on_bar(self._seen(bar))

    def prepare(self) -> None:
        if isinstance(self.source, IncrementalSource):
            self.source.prepare()

    def trained_at(self, at: datetime) -> datetime | None:
        """When the model in force at the bar that opens at `at` was trained; None where none is, or nobody knows."""
        return self.source.trained_at(at) if isinstance(self.source, DatedSource) else None

    def _seen(self, bar: NewBar) -> NewBar:
        at = round(bar.at.timestamp() * 1000)
        own = self._own.at(at) or (bar.open, bar.high, bar.low, bar.close, bar.volume)

        def peers() -> dict[str, Prices]:
            return {name: (self._books[name].at(at) if name in self._books else None) or prices for name, prices in bar.peers().items()}

        opened, high, low, close, volume = own
        return replace(
            bar, open=opened, high=high, low=low, close=close, volume=volume, frame=lambda: self._own.seen(bar.frame()), peers=peers
        )
