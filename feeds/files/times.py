"""The meaning of a column of times: numbers, texts or time stamps become UTC times of the bars' opens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin, trades_round_the_clock
from forwardtrader.feeds.files.dates import LocalTimes, from_text
from forwardtrader.feeds.files.epochs import HINT, from_numbers, stands_apart
from forwardtrader.feeds.files.zones import are_session_ends, parse_zone, to_utc, trading_days

if TYPE_CHECKING:
    import pyarrow as pa

Ints = np.ndarray[Any, np.dtype[np.int64]]
_SECOND: Final = 10**9
_DAY: Final = 86_400 * _SECOND
_NOON: Final = _DAY // 2
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE: Final = 60 * _SECOND
_SURE_ZONES: Final = ("UTC", "GMT", "CET", "EET", "WET")  # as tables of time zones have them, with summer time
_NUMBER: Final = re.compile(r"[-+]?\d+([.,]\d*)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class TimeNotation:
    """What a user says of the times in a file: the order or pattern of dates, the zone of times that state none, and whether they are those
    of the open or the end of a bar ("" where nothing is said). `stated` is the zone that a file names elsewhere than in its times."""

    date_format: str = ""
    zone: tzinfo | None = None
    stamped: str = ""
    stated: str = ""


AS_WRITTEN: Final = TimeNotation()


def notation_of(date_format: str, zone: str, stamped: str = "") -> TimeNotation:
    """The notation that settings or flags name; "" leaves it to the file.

    Raises:
        InvalidSetting: no such time zone.
    """
    return TimeNotation(date_format, parse_zone(zone) if zone else None, stamped)


def read_times(
    columns: Sequence[pa.Array], origin: Origin, timeframe: Timeframe, notation: TimeNotation = AS_WRITTEN, *, closes: bool = False
) -> tuple[pd.DatetimeIndex, tuple[str, ...]]:
    """UTC open times in the order of the file, and notes on how they were read.

    Args:
        columns: one of times, or one of dates and one of times of day.
        closes: the times are the ends of the bars.

    Raises:
        CandleFileInvalid: a time that cannot be read, or one that has several meanings.
    """
    local = _read(columns, origin, timeframe, notation)
    is_day = timeframe.seconds * _SECOND >= _DAY
    if is_day and (dated := _dated(local, notation)) is not None:
        return _index(dated), (*local.notes, "days are those of the dates, whose time of day is left out")
    times, notes = _in_utc(local, origin, timeframe, notation)
    notes = (*local.notes, *notes)
    if notation.stamped == "end" or (
        not notation.stamped and (closes or _are_ends(times, timeframe) or are_session_ends(times, timeframe))
    ):
        times, notes = (
            _opens(_last_day_ends(times, timeframe), timeframe),
            (*notes, "times are the ends of the bars; each bar opens one timeframe earlier"),
        )
    elif not notation.stamped and not is_day and not trades_round_the_clock(pd.DatetimeIndex(np.sort(times))):
        notes = (*notes, "times are taken for the opens of the bars; --stamped end where they are the ends")
    if is_day and _rests_at_weekends(times):
        times, place = trading_days(times)
        notes = (*notes, f"days begin at midnight in {place}; bars have its dates") if place else notes
    if timeframe.seconds % (7 * 86_400) == 0 and (day := _week_day(times)):
        notes = (*notes, f"weeks are dated on {day}s, taken for their first days; --stamped end where those are the last")
    return _index(times), notes


def _index(times: Ints) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times.astype("datetime64[ns]"), name="timestamp").tz_localize("UTC")


def _dated(local: LocalTimes, notation: TimeNotation) -> Ints | None:
    """Midnights of days that are dated with the close of a session (16:00) or with their last minute, in times of no zone or of the user's.

    A market that opens on Sundays may have days that begin at that time of day, as currencies have at 17:00 in New York.
    """
    clock = local.times % _DAY
    if local.offsets is not None or notation.stamped or not len(clock) or not clock[0] or (clock != clock[0]).any():
        return None
    weekdays = np.unique((local.times // _DAY + 3) % 7)
    is_last_minute = _DAY - clock[0] <= _MINUTE
    return local.times - clock if is_last_minute or (clock[0] >= _NOON and weekdays[-1] < 5 and len(clock) >= 5) else None


def _week_day(times: Ints) -> str:
    """The day that weeks are dated on; "" for Monday, or where they are dated on several."""
    days = np.unique((times // _DAY + 3) % 7)
    return _DAYS[int(days[0])] if len(days) == 1 and days[0] else ""


def _read(columns: Sequence[pa.Array], origin: Origin, timeframe: Timeframe, notation: TimeNotation) -> LocalTimes:
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(columns) == 2:
        return _date_and_clock(columns[0], columns[1], origin, timeframe, notation)
    column = columns[0]
    if column.null_count:
        row = int(np.argmax(np.asarray(column.is_null())))
        origin.refuse(row, None, f"the time is missing; {HINT}")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _from_stamps(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        if "%" not in notation.date_format and (digits := _digits(column)) is not None:
            column = digits
        else:
            return from_text(column, origin, timeframe, notation.date_format)
    try:
        numbers = np.asarray(column.to_numpy(zero_copy_only=False))
        if numbers.dtype.kind not in "iuf":
            numbers = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    except (pa.ArrowException, ValueError):
        origin.refuse(0, None, f"the time is {column[0].as_py()!s}; {HINT}")
    times, is_local, note = from_numbers(numbers, origin, timeframe)
    return LocalTimes(times, None if is_local else np.zeros(len(times), dtype=np.int64), (note,) if note else ())


def _digits(column: pa.Array) -> pa.Array | None:
    """A column of texts that are all numbers; whole ones stay exact."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _NUMBER.fullmatch(str(column[0].as_py()).strip()):
        return None
    for kind in (pa.int64(), pa.float64()):
        try:
            return pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    try:
        return pc.cast(pc.replace_substring(pc.utf8_trim_whitespace(column), ",", "."), pa.float64())
    except pa.ArrowInvalid:
        return None


def _from_stamps(column: pa.Array) -> LocalTimes:
    import pyarrow as pa

    zone = getattr(column.type, "tz", None)
    times = np.asarray(column.cast(pa.timestamp("ns", zone)).cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
    if zone is None:
        return LocalTimes(times, None)
    index = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC").tz_convert(zone)
    local = np.asarray(index.tz_localize(None).as_unit("ns").asi8, dtype=np.int64)
    return LocalTimes(local, local - times)


def _date_and_clock(dates: pa.Array, clocks: pa.Array, origin: Origin, timeframe: Timeframe, notation: TimeNotation) -> LocalTimes:
    """A column of dates beside one of times of day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    dates, clock = _whole(dates), pc.cast(_whole(clocks), pa.string())
    if pc.all(pc.match_substring_regex(clock, r"^\s*\d{1,6}\s*$")).as_py():
        clock = _padded(pc.utf8_trim_whitespace(clock), timeframe)
    if pa.types.is_temporal(dates.type):
        dates = pc.strftime(dates, "%Y-%m-%d")
    joined = pc.binary_join_element_wise(pc.utf8_trim_whitespace(pc.cast(dates, pa.string())), pc.utf8_trim_whitespace(clock), " ")
    return from_text(joined, origin, timeframe, notation.date_format)


def _whole(column: pa.Array) -> pa.Array:
    """Floats that are all whole as integers."""
    import pyarrow as pa

    if not pa.types.is_floating(column.type):
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def _padded(clock: pa.Array, timeframe: Timeframe) -> pa.Array:
    """`930` as `09:30`, `93000` as `09:30:00`: what has no more than four digits has no seconds, unless other rows have.

    Bars of whole hours that are counted from 0 to 23 are named by their hour.
    """
    import pyarrow.compute as pc

    longest = pc.max(pc.utf8_length(clock)).as_py()
    if longest <= 2 and timeframe.seconds % 3_600 == 0:
        return pc.binary_join_element_wise(clock, "00", ":")
    if longest > 4:
        return pc.replace_substring_regex(pc.utf8_lpad(clock, 6, "0"), r"^(\d{2})(\d{2})(\d{2})$", r"\1:\2:\3")
    return pc.replace_substring_regex(pc.utf8_lpad(clock, 4, "0"), r"^(\d{2})(\d{2})$", r"\1:\2")


def _in_utc(local: LocalTimes, origin: Origin, timeframe: Timeframe, notation: TimeNotation) -> tuple[Ints, tuple[str, ...]]:
    if timeframe.seconds * _SECOND >= _DAY and not (local.times % _DAY).any():
        return local.times, ()  # days at local midnight: what is meant is the trading date
    if local.offsets is not None:
        return local.times - local.offsets, ()
    if notation.zone is None and notation.stated:
        return _of_stated_zone(local, origin, timeframe, notation.stated)
    if notation.zone is not None:
        return to_utc(local.times, notation.zone, origin, timeframe), (f"times are those of {notation.zone}",)
    return local.times, ("times state no zone and are taken for UTC; --tz names another",)


def _of_stated_zone(local: LocalTimes, origin: Origin, timeframe: Timeframe, stated: str) -> tuple[Ints, tuple[str, ...]]:
    """Times of a zone that the file names: one that is sure, as of a place; of others the user is asked."""
    if "/" in stated or stated in _SURE_ZONES:
        try:
            zone = parse_zone(stated)
        except InvalidSetting:
            pass
        else:
            return to_utc(local.times, zone, origin, timeframe), (f"times are those of {zone}, as the file says",)
    raise CandleFileInvalid(
        f"{origin.name}: its times are those of {stated} as it says, which several zones may mean; name theirs with --tz (UTC where "
        "they are in that)"
    )


def _are_ends(times: Ints, timeframe: Timeframe) -> bool:
    """Whether all times are the last second, or part of one, of a bar."""
    step = min(timeframe.seconds * _SECOND, _DAY)
    left = step - times % step
    return len(times) > 0 and bool(((left <= _SECOND) & (left == left[0])).all())


def _last_day_ends(times: Ints, timeframe: Timeframe) -> Ints:
    """Weeks that are dated with their last day end with it; dated with a Monday they end where that begins."""
    is_last = timeframe.seconds % (7 * 86_400) == 0 and not (times % _DAY).any() and bool(_week_day(times))
    return times + _DAY if is_last else times


def _opens(times: Ints, timeframe: Timeframe) -> Ints:
    return -(-times // _MINUTE) * _MINUTE - timeframe.seconds * _SECOND


def _rests_at_weekends(times: Ints) -> bool:
    """Whether bars leave out a part of the week; a market that never closes has its days as they are."""
    weekdays = np.unique((times // _DAY) % 7)
    return len(weekdays) <= 6 and (len(times) >= 5 or stands_apart(times, _DAY))
