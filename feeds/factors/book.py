"""The factors of a run as columns beside the candles, the same in a backtest and in a live session.

At each bar stands what was known when the bar closed. A value older than its allowed age, or none at all yet, is *not known*: NaN here,
and a neutral zero in the features made of it (`models.features.catalogue`), so that the forecast goes on as if the factor had
nothing unusual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.settings import FactorSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.files import distinct, observations_of, read_table, reading_of, soonest_known, usual_name
from forwardtrader.feeds.factors.series import NEVER, FactorSource, FactorTable, Known, closes

PREFIX: Final = "factor_"
_FOR_EVER: Final = timedelta(days=100_000)  # nanoseconds reach no further than three times as long


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor: its observations, their maximum age, and what reports state about it. `soonest` as `factor_files.soonest_known`."""

    source: FactorSource
    max_age: timedelta
    file: str
    column: str
    known_after: str
    spacing: timedelta
    soonest: timedelta = timedelta(0)

    @property
    def name(self) -> str:
        return self.source.name

    @cached_property
    def known(self) -> Known:
        return Known.of(self.source)


class FactorBook:
    """All factors of a run.

    A file that has changed since the last call is read again, so that a live session sees appended rows.

    Raises:
        CandleFileInvalid: a file is missing or cannot be read.
        InvalidSetting: it is not clear which column is meant or when it became known, or two factors have one name.
    """

    def __init__(self, settings: Sequence[FactorSettings], timeframe: Timeframe, *, until: datetime | None = None) -> None:
        self._settings = tuple(settings)
        self._timeframe = timeframe
        self._until = until
        self._read: dict[str, tuple[tuple[int, int], Factor]] = {}
        distinct(factor.name for factor in self.factors())

    def __bool__(self) -> bool:
        return bool(self._settings)

    def as_of(self, moment: datetime) -> FactorBook:
        """The same factors without anything that became known after `moment`."""
        return FactorBook(self._settings, self._timeframe, until=moment)

    def factors(self) -> list[Factor]:
        """Every factor, read anew where its file changed."""
        return [self._factor(settings) for settings in self._settings]

    def columns(self, index: pd.DatetimeIndex) -> pd.DataFrame:
        """One column `factor_<name>` each on `index` (bar-open times, UTC): the value known at the bar's close, NaN where none is."""
        known = {PREFIX + factor.name: joined(index, self._timeframe, factor) for factor in self.factors()}
        return pd.DataFrame(known, index=index, dtype=np.float64)

    def beside(self, candles: pd.DataFrame) -> pd.DataFrame:
        """The candles with the columns of the factors; the very same frame where there is none."""
        if not self:
            return candles
        plain = candles.drop(columns=[str(name) for name in candles.columns if str(name).startswith(PREFIX)])
        return plain.join(self.columns(pd.DatetimeIndex(candles.index)))

    def _factor(self, settings: FactorSettings) -> Factor:
        path = Path(settings.file)
        now = _stamp(path)
        held = self._read.get(settings.file + settings.column + settings.name)
        if held is None or held[0] != now:
            held = (now, read_factor(settings, self._until))
            self._read[settings.file + settings.column + settings.name] = held
        return held[1]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def read_factor(settings: FactorSettings, until: datetime | None = None) -> Factor:
    """Read one file, all of it or what was known by `until`. Raises as `FactorBook`."""
    path = Path(settings.file)
    table = read_table(path)
    reading, name = reading_of(settings, table), usual_name(settings, list(table.columns))
    seen = observations_of(settings, table, reading, name)
    spacing = pd.Timedelta(seen["describes"].diff().median()) if len(seen) > 1 else pd.Timedelta(0)
    if until is not None:
        seen = seen.loc[seen["known_at"] <= pd.Timestamp(until)]
    return Factor(
        source=FactorTable(name, seen),
        max_age=reading.max_age,
        file=path.name,
        column=reading.column,
        known_after="known_at" if reading.known_after is None else str(reading.known_after),
        spacing=spacing.to_pytimedelta(),
        soonest=soonest_known(table),
    )


def joined(index: pd.DatetimeIndex, timeframe: Timeframe, factor: Factor) -> NDArray[np.float64]:
    """The value of one factor known at each bar's close, NaN where none is: never known yet, or older than it lasts."""
    moments = closes(index, timeframe)
    value, since = factor.known.at(moments)
    lasts = pd.Timedelta(min(factor.max_age, _FOR_EVER)).as_unit("ns").value
    return np.where((since != NEVER) & (since >= moments - lasts), value, np.nan)
