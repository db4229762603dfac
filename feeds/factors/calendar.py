"""A calendar of events as a factor: hours until the next one that is known of.

At each full hour the value is the distance to the next event that had been announced by then, at most a week. A model sees it coming,
and never one that was not yet in the calendar. While no event ahead is announced, nothing is known: an event that is announced later
must not show, not even by a value that says that none is near.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.series import ordered

FAR_HOURS: Final = 168  # and more
_HOUR: Final = 3_600_000_000_000
_MOST_HOURS: Final = 40 * 366 * 24


@dataclass(frozen=True)
class EventCalendar:
    """A factor that is made of events: times (`describes`) and announcements (`known_at`), UTC."""

    name: str
    events: pd.DataFrame

    def observations(self) -> pd.DataFrame:
        at, since = (pd.DatetimeIndex(self.events[column]).as_unit("ns").asi8 for column in ("describes", "known_at"))
        return approach(at, since, self.name)


def approach(events: NDArray[np.int64], known: NDArray[np.int64], name: str) -> pd.DataFrame:
    """As `FactorSource.observations`, of events with the times at which they became known; nanoseconds UTC.

    Raises:
        CandleFileInvalid: the calendar spans more years than any can.
    """
    if not len(events):
        return ordered(pd.DataFrame({"describes": [], "known_at": [], "value": []}), name)
    first, last = -(-int(known.min()) // _HOUR), -(-int(events.max()) // _HOUR)
    if last - first > _MOST_HOURS:
        raise CandleFileInvalid(f"the calendar {name} spans more than 40 years; remove the rows that are no events")
    hours = np.arange(first, last + 1, dtype=np.int64) * _HOUR
    value = np.full(len(hours), np.nan)
    for event, since in zip(events.tolist(), known.tolist(), strict=True):
        begin, end = np.searchsorted(hours, [since, event])
        value[begin:end] = np.fmin(value[begin:end], np.minimum((event - hours[begin:end]) / _HOUR, FAR_HOURS))
    times = pd.DatetimeIndex(hours, tz="UTC")
    return ordered(pd.DataFrame({"describes": times, "known_at": times, "value": value}), name)


def announced(settings: FactorSettings, events: pd.Series, known_at: pd.Series | None) -> NDArray[np.int64]:
    """When each event became known, nanoseconds UTC; never after it.

    Raises:
        InvalidSetting: neither the file nor the settings say it.
    """
    times = pd.DatetimeIndex(events).as_unit("ns").asi8
    if known_at is not None:
        return np.minimum(pd.DatetimeIndex(known_at).as_unit("ns").asi8, times)
    if settings.known_before is None:
        raise InvalidSetting(f"{settings.file}: say how long before it an event is known, as known_before: 30d, or add a column known_at")
    return times - int(settings.known_before / timedelta(microseconds=1)) * 1000
