"""The grid that bars open on: that of UTC, or one of the market's own, which stands still in its time zone.

Hourly bars of a stock exchange open at 09:30, days of the currency market at 17:00 in New York, and bars of seven minutes begin anew
each day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe

Ints = np.ndarray[Any, np.dtype[np.int64]]

_SECOND: Final = 10**9
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 86_400 * _SECOND
_USUAL_SHARE: Final = 0.25  # so many bars on the grid of UTC show that it is meant
# Where exchanges stand, one zone for each pair of offsets that a year has.
EXCHANGE_ZONES: Final = (
    "America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin", "Asia/Tokyo", "Asia/Shanghai", "Asia/Kolkata",
    "Australia/Sydney", "America/Sao_Paulo", "America/Los_Angeles", "Europe/Moscow", "Asia/Riyadh", "Pacific/Auckland", "Asia/Dubai",
    "Asia/Jakarta",
)  # fmt: skip


def off_utc_grid(times: Ints, timeframe: Timeframe) -> Ints:
    """Rows that do not open on the grid of UTC. Bars longer than a day may open on any day, as long as all of them keep to it."""
    step = min(timeframe.seconds * _SECOND, _DAY)
    wrong = np.flatnonzero(times % step)
    if timeframe.seconds * _SECOND > _DAY and not len(wrong):
        wrong = np.flatnonzero((times - times[:1]) % (timeframe.seconds * _SECOND))
    return wrong


def off_own_grid(times: Ints, timeframe: Timeframe) -> Ints:
    """Rows that fit no grid that the others share; none where all stand on one, of whole minutes."""
    if not len(off_utc_grid(times, timeframe)):
        return np.empty(0, dtype=np.int64)
    step = min(timeframe.seconds * _SECOND, _DAY)
    best: Ints | None = None
    for local in _local_times(times):
        phases = (local % _DAY) % step if local is not times else times % step
        values, counts = np.unique(phases, return_counts=True)
        usual = int(values[np.argmax(counts)])
        if values[0] == 0 and counts[0] >= _USUAL_SHARE * len(times):
            usual = 0
        wrong = np.flatnonzero((phases != usual) | (phases % _MINUTE != 0))
        if not len(wrong):
            return wrong
        if best is None or len(wrong) < len(best):
            best = wrong
    assert best is not None
    return best


def own_grid(index: pd.DatetimeIndex, timeframe: Timeframe) -> str:
    """What to say of bars that keep to a grid of their own; "" where it is that of UTC."""
    times = np.asarray(index.asi8)
    if not len(off_utc_grid(times, timeframe)):
        return ""
    return f"bars open on a grid of their own, the first at {index[0]:%H:%M} UTC"


def _local_times(times: Ints) -> Iterator[Ints]:
    """The times themselves, their time of day in UTC, and that in each zone."""
    yield times
    yield times + 0
    index = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC")
    for zone in EXCHANGE_ZONES:
        yield np.asarray(index.tz_convert(zone).tz_localize(None).asi8)
