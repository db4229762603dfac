"""Point-in-time factor series: each observation carries the moment it describes and the moment it became known.

Joins go by the second one. A funding rate is known when it is settled; a sentiment value that describes a day is published in its course,
so it counts as known when the day is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FactorNotYetPublished
from forwardtrader.core.types import Timeframe

COLUMNS: Final = ("describes", "known_at", "value")
NEVER: Final = int(np.iinfo(np.int64).min)  # which pandas reads as NaT


class FactorSource(Protocol):
    """Where a factor comes from. `FactorTable` holds rows that were read, `FactorList` single observations."""

    @property
    def name(self) -> str: ...

    def observations(self) -> pd.DataFrame:
        """Columns `describes`, `known_at` (UTC, `known_at` not before `describes`) and `value` (float64), in order of `known_at`."""
        ...


@dataclass(frozen=True)
class Observation:
    """One value with its two times (UTC)."""

    describes: datetime
    known_at: datetime
    value: float


class FactorList:
    """A factor made of observations; a later one about the same moment is a revision and replaces the earlier from then on."""

    def __init__(self, name: str, observations: Iterable[Observation]) -> None:
        self.name = name
        self._observations = list(observations)

    def observations(self) -> pd.DataFrame:
        rows = [(o.describes, o.known_at, o.value) for o in self._observations]
        return ordered(pd.DataFrame(rows, columns=list(COLUMNS)), self.name)


@dataclass(frozen=True)
class FactorTable:
    """A factor given as a table in the form and order of `ordered`."""

    name: str
    table: pd.DataFrame

    def observations(self) -> pd.DataFrame:
        return self.table


@dataclass(frozen=True)
class Known:
    """Step function of the newest known value: `since` in ascending nanoseconds UTC, `value` float64.

    It begins with `NEVER` and NaN.
    """

    since: NDArray[np.int64]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, source: FactorSource) -> Known:
        seen = _newest_known(source.observations())
        return cls(np.append(NEVER, pd.DatetimeIndex(seen["known_at"]).as_unit("ns").asi8), np.append(np.nan, seen["value"]))

    def at(self, moments: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """For each moment the newest value known by then, and since when it was; NaN and `NEVER` where none was."""
        place = np.searchsorted(self.since, moments, side="right") - 1
        return self.value[place], self.since[place]


def closes(index: pd.DatetimeIndex, timeframe: Timeframe) -> NDArray[np.int64]:
    """When the bars that open at `index` close, in nanoseconds UTC."""
    return index.as_unit("ns").asi8 + pd.Timedelta(timeframe.delta).as_unit("ns").value


def join_as_of(index: pd.DatetimeIndex, timeframe: Timeframe, source: FactorSource) -> pd.DataFrame:
    """For each bar the newest value known when the bar closed: columns `value` and `known_at` on `index` (bar open times, UTC).

    "Newest" is the one that describes the latest moment, in its latest revision. Bars before the first publication hold NaN and NaT.
    """
    value, since = Known.of(source).at(closes(index, timeframe))
    return pd.DataFrame({"value": value, "known_at": pd.DatetimeIndex(since, tz="UTC")}, index=index)


def _newest_known(observations: pd.DataFrame) -> pd.DataFrame:
    """Drop observations that were outdated when they became known: a later moment was already known."""
    newest: pd.Series[Any] = observations["describes"].cummax()
    return observations.loc[observations["describes"] >= newest]


def ordered(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The columns of `FactorSource.observations` in their order. Raises `FactorNotYetPublished` for a value known before its time."""
    times = {column: pd.to_datetime(frame[column], utc=True).astype("datetime64[ns, UTC]") for column in COLUMNS[:2]}
    frame = pd.DataFrame({**times, "value": frame["value"].astype(np.float64)})
    early = frame.loc[frame["known_at"] < frame["describes"]]
    if len(early):
        raise FactorNotYetPublished(f"{name}: the value of {early['describes'].iloc[0]} would be known before its time; correct known_at")
    return frame.sort_values(["known_at", "describes"], kind="stable", ignore_index=True)
