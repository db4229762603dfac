"""The factors of a run as columns beside the candles, the same in a backtest and in a live session.

At each bar stands what was known when the bar closed. A value older than its allowed age, or none at all yet, is *not known*: NaN here,
and a neutral zero in the features made of it (`models.features.catalogue`), so that the forecast goes on as if the factor had
nothing unusual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.calendar import EventCalendar, announced
from forwardtrader.feeds.factors.files import (
    KNOWN_AT,
    TIMES,
    USUAL_AGE,
    distinct,
    observations_of,
    read_table,
    reading_of,
    soonest_known,
    times_of,
    usual_name,
)
from forwardtrader.feeds.factors.kinds import delay_of, kind_of
from forwardtrader.feeds.factors.record import FactorRecord, read_record
from forwardtrader.feeds.factors.series import NEVER, FactorSource, FactorTable, Known, closes, ordered

PREFIX: Final = "factor_"
_FOR_EVER: Final = timedelta(days=100_000)  # nanoseconds reach no further than three times as long


@dataclass(frozen=True)
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
        self._record = cache(lambda file: FactorRecord(Path(file)))
        distinct(factor.name for factor in self.factors())

    def __bool__(self) -> bool:
        return bool(self._settings)

    def as_of(self, moment: datetime) -> FactorBook:
        """The same factors without anything that became known after `moment`."""
        return FactorBook(self._settings, self._timeframe, until=moment)

    def factors(self) -> list[Factor]:
        """Every factor, read anew where its file changed."""
        return [self._factor(settings) for settings in self._settings]

    def seal(self, index: pd.DatetimeIndex) -> None:
        """The newest of these bars is about to be joined: whatever is recorded from now on counts as known after its close.

        Raises:
            StoreDamaged, OSError: a record cannot be held; its bars are joined all the same.
        """
        moment = (index[-1] + self._timeframe.delta).to_pydatetime()
        for settings in self._settings:
            if settings.is_fetched:
                self._record(settings.file).seal(moment)

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
    """Read one file or record, all of it or what was known by `until`. Raises as `FactorBook`."""
    factor = _of_calendar(settings) if settings.kind == "calendar" else _of_record(settings) if settings.is_fetched else _of_file(settings)
    if until is None:
        return factor
    seen = factor.source.observations()
    return replace(factor, source=FactorTable(factor.name, seen.loc[seen["known_at"] <= pd.Timestamp(until)]))


def _of_file(settings: FactorSettings) -> Factor:
    path = Path(settings.file)
    table = read_table(path)
    reading, name = reading_of(settings, table), usual_name(settings, list(table.columns))
    seen = observations_of(settings, table, reading, name)
    return Factor(
        source=FactorTable(name, seen),
        max_age=reading.max_age,
        file=path.name,
        column=reading.column,
        known_after="known_at" if reading.known_after is None else str(reading.known_after),
        spacing=_spacing(seen),
        soonest=soonest_known(table),
    )


def _of_record(settings: FactorSettings) -> Factor:
    """What was fetched so far, be it nothing; values count as known when they were recorded, and no sooner than their kind is published."""
    kind, delay, table = kind_of(settings), delay_of(settings), read_record(Path(settings.file))
    known = table["known_at"].where(table["known_at"] >= table["timestamp"] + delay, table["timestamp"] + delay)
    seen = ordered(pd.DataFrame({"describes": table["timestamp"], "known_at": known, "value": table["value"]}), settings.title)
    return Factor(
        source=FactorTable(settings.title, seen),
        max_age=settings.max_age or kind.max_age,
        file=f"{settings.kind} {settings.exchange} {settings.symbol}".strip(),
        column="value",
        known_after=str(delay),
        spacing=_spacing(seen),
        soonest=kind.soonest,
    )


def _of_calendar(settings: FactorSettings) -> Factor:
    path = Path(settings.file)
    table = read_table(path)
    events = times_of(settings, table[TIMES[0]])
    known = times_of(settings, table[KNOWN_AT]) if KNOWN_AT in table.columns else None
    name = settings.name or "calendar"
    since = pd.DatetimeIndex(announced(settings, events, known), tz="UTC")
    source = EventCalendar(name, pd.DataFrame({"describes": pd.DatetimeIndex(events), "known_at": since}))
    age = settings.max_age or USUAL_AGE
    return Factor(source, age, path.name, "hours until the next event", "announced", timedelta(hours=1))


def _spacing(seen: pd.DataFrame) -> timedelta:
    return pd.Timedelta(seen["describes"].diff().median()).to_pytimedelta() if len(seen) > 1 else timedelta(0)


def joined(index: pd.DatetimeIndex, timeframe: Timeframe, factor: Factor) -> NDArray[np.float64]:
    """The value of one factor known at each bar's close, NaN where none is: never known yet, or older than it lasts."""
    moments = closes(index, timeframe)
    value, since = factor.known.at(moments)
    lasts = pd.Timedelta(min(factor.max_age, _FOR_EVER)).as_unit("ns").value
    return np.where((since != NEVER) & (since >= moments - lasts), value, np.nan)
