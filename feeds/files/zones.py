"""Time zones: local times into UTC, and trading days that are stamped with a local midnight."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.grid import EXCHANGE_ZONES
from forwardtrader.feeds.candles.schema import Origin

if TYPE_CHECKING:
    import pyarrow as pa

Ints = np.ndarray[Any, np.dtype[np.int64]]
_DAY: Final = 86_400 * 10**9
_NAMED_OFFSETS: Final = {
    "": 0, "Z": 0, "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "PST": -8, "PDT": -7, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2,
    "EEST": 3, "JST": 9,
}  # fmt: skip
_STANDARD: Final = ("EST", "PST", "CET", "MEZ", "EET")  # without the summer time that goes with it
_MINUTES_OF_DAY: Final = 1440
# Open and close in minutes of the local day, of exchanges whose hours no other one has in another zone.
_SESSIONS: Final = {"America/New_York": (570, 960), "Asia/Kolkata": (555, 930)}
_LEAST_DAYS: Final = 5
_USUAL: Final = 0.8


def parse_zone(text: str) -> tzinfo:
    """`Europe/Berlin`, `UTC` or `+02:00`.

    Raises:
        InvalidSetting: no such zone; the message names the nearest.
    """
    match = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", text.strip())
    if match is not None and int(match[2]) < 15:
        size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(-size if match[1] == "-" else size)
    try:
        return ZoneInfo(text.strip())
    except (KeyError, ValueError, OSError) as error:
        from difflib import get_close_matches

        near = get_close_matches(text.strip(), available_timezones(), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "; write it like Europe/Berlin or +02:00"
        raise InvalidSetting(f"{text!r} is not a time zone{hint}") from error


def to_utc(local: Ints, zone: tzinfo, origin: Origin, timeframe: Timeframe) -> Ints:
    """Wall-clock times of `zone` in UTC. The hour that an autumn night has twice is told apart by order and by the rows around it.

    Raises:
        CandleFileInvalid: a time that the clocks skip in spring, or one of a doubled hour that nothing tells apart.
    """
    if len(local) > 1 and local[0] > local[-1]:
        turned = Origin(origin.name, np.arange(len(local), 0, -1) if origin.lines is None else origin.lines[::-1], origin.counts)
        return to_utc(local[::-1], zone, turned, timeframe)[::-1]
    index = pd.DatetimeIndex(local.astype("datetime64[ns]"))
    summer = _utc(index.tz_localize(zone, ambiguous=np.ones(len(index), dtype=bool), nonexistent="NaT"))
    winter = _utc(index.tz_localize(zone, ambiguous=np.zeros(len(index), dtype=bool), nonexistent="NaT"))
    missing = np.flatnonzero(summer == np.iinfo(np.int64).min)
    if len(missing):
        row = int(missing[0])
        origin.refuse(row, None, f"{index[row]:%Y-%m-%d %H:%M} does not exist in {zone}, where clocks skip it; check --tz")
    return _told_apart(local, summer, winter, origin, timeframe, zone)


def _utc(index: pd.DatetimeIndex) -> Ints:
    return np.asarray(index.as_unit("ns").asi8, dtype=np.int64)


def _told_apart(local: Ints, summer: Ints, winter: Ints, origin: Origin, timeframe: Timeframe, zone: tzinfo) -> Ints:
    """Of each doubled time the first is in summer time and the second is not; one alone is where its neighbours leave room for it."""
    times = summer.copy()
    seen: set[int] = set()
    doubled = np.flatnonzero(summer != winter)
    often = {int(value): int(count) for value, count in zip(*np.unique(local[doubled], return_counts=True), strict=True)}
    for row in doubled:
        value, step = int(local[row]), timeframe.seconds * 10**9
        if often[value] > 1:
            times[row] = winter[row] if value in seen else summer[row]
            seen.add(value)
            continue
        before = int(times[row - 1]) if row else None
        after = int(winter[row + 1]) if row + 1 < len(local) and winter[row + 1] == summer[row + 1] else None
        fits = [
            moment for moment in (int(summer[row]), int(winter[row]))
            if (before is None or (moment > before and (moment - before) % step == 0)) and (after is None or (after - moment) % step == 0)
        ]  # fmt: skip
        next_to = [moment for moment in fits if before is not None and moment - before == step]
        if len(next_to or fits) != 1:
            text = str(np.datetime64(value, "ns"))[:16].replace("T", " ")
            origin.refuse(int(row), None, f"{text} is twice in {zone}, before and after clocks are set back; write times in UTC")
        times[row] = (next_to or fits)[0]
    return times


def trading_days(times: Ints) -> tuple[Ints, str]:
    """The dates of daily bars that are stamped with midnight where the exchange stands, and that place; as they are where there is none."""
    if not (times % _DAY).any():
        return times, ""
    index = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC")
    for name in EXCHANGE_ZONES:
        local = np.asarray(index.tz_convert(name).tz_localize(None).as_unit("ns").asi8, dtype=np.int64)
        if not (local % _DAY).any():
            return local, name
    return times, ""


def stated_offsets(field: pa.Array | None, local: Ints, origin: Origin, timeframe: Timeframe) -> Ints | None:
    """Nanoseconds east of UTC of each row; None where no row has a zone.

    Args:
        local: the wall-clock times that the zones stand behind.
    """
    import pyarrow.compute as pc

    if field is None:
        return None
    encoded = pc.dictionary_encode(field)
    names = [name.strip() for name in encoded.dictionary.to_pylist()]
    places = np.asarray(encoded.indices.to_numpy(zero_copy_only=False))
    if not any(names):
        return None
    if "" in names:
        row = int(np.flatnonzero(places != places[0])[0])
        origin.refuse(
            row, None, f"the time zone changes from {names[places[0]] or 'none'} to {names[places[row]] or 'none'}; write all times in UTC"
        )
    if len(names) == 1 and "/" in names[0]:
        return local - to_utc(local, _region(names[0], origin), origin, timeframe)
    offsets = []
    for name in names:
        value = zone_offset(name)
        if value is None:
            row = int(np.flatnonzero(places == names.index(name))[0])
            origin.refuse(row, None, f"the time zone {name!r} is not unique; write times with an offset, like 2024-01-31T13:00:00+01:00")
        offsets.append(value)
    return np.asarray(offsets, dtype=np.int64)[places]


def _region(name: str, origin: Origin) -> tzinfo:
    try:
        return parse_zone(name)
    except InvalidSetting as error:
        raise CandleFileInvalid(f"{origin.name}: {error}") from error


def standard_all_year(field: pa.Array | None, local: Ints) -> tuple[str, ...]:
    """What to say of `EST` and the like where they stand in summer too: some write it for New York, whose clocks change."""
    import pyarrow.compute as pc

    names = [] if field is None else [name.strip() for name in pc.unique(field).to_pylist()]
    months = pd.DatetimeIndex(local.astype("datetime64[ns]")).month
    if len(names) != 1 or names[0] not in _STANDARD or not ((months > 4) & (months < 10)).any():
        return ()
    offset = _NAMED_OFFSETS[names[0]]
    return (f"{names[0]} is taken for UTC{offset:+03d}:00 all year; remove it and name the zone with --tz where clocks are changed",)


def zone_offset(name: str) -> int | None:
    """Nanoseconds east of UTC of `Z`, `+02:00`, `GMT+0100` or `EST`; None for a name that several zones share."""
    if name in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[name] * 3600 * 10**9
    match = re.fullmatch(r"(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?", name)
    if match is None:
        return None
    size: Any = int(match[2]) * 3600 + int(match[3] or 0) * 60
    return int(size) * 10**9 * (-1 if match[1] == "-" else 1)


def are_session_ends(times: Ints, timeframe: Timeframe) -> bool:
    """Whether times (nanoseconds UTC, or of a file that states no zone) are the ends of the bars of an exchange's day.

    The first one of a day comes a bar after the open then, the last one at the close. Only for days that are so many whole bars long.
    """
    step = timeframe.seconds // 60
    if not len(times) or timeframe.seconds % 60 or step >= 390:
        return False
    index = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC")
    for zone, (opens, closes) in _SESSIONS.items():
        if (closes - opens) % step == 0:
            local = np.asarray(index.tz_convert(zone).tz_localize(None).as_unit("ns").asi8)
            if any(_ends_there(each // (60 * 10**9), opens + step, closes) for each in (times, local)):
                return True
    return False


def _ends_there(minutes: Ints, first: int, last: int) -> bool:
    """Whether most days begin and end with a bar at these minutes, and no bar lies outside."""
    days, place = minutes // _MINUTES_OF_DAY, minutes % _MINUTES_OF_DAY
    firsts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    if len(firsts) < _LEAST_DAYS or (place < first).any() or (place > last).any():
        return False
    lasts = np.append(firsts[1:], len(days)) - 1
    return bool(np.mean((place[firsts] == first) & (place[lasts] == last)) >= _USUAL)
