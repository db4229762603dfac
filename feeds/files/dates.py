"""Times written as text: ISO, day or month first, named months, AM and PM, with or without a zone.

Whether the day or the month comes first is decided by the whole column: by a number above 12, or by the reading under which the rows
stand a timeframe apart without leaps. Where both readings do, the user is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.epochs import FIRST_NS, HINT, LAST_NS, Ints, civil_days, stands_apart
from forwardtrader.feeds.files.zones import standard_all_year, stated_offsets

if TYPE_CHECKING:
    import pyarrow as pa

_MONTHS: Final = {
    1: "jan gen ene janv", 2: "feb fev fevr", 3: "mar mrt marz mars", 4: "apr abr avr", 5: "may mai mag mei maj", 6: "jun giu juin",
    7: "jul lug juil", 8: "aug ago aou aout", 9: "sep set sept", 10: "oct okt ott out", 11: "nov", 12: "dec dez dic",
}  # fmt: skip
_MONTH_OF: Final = {name: month for month, names in _MONTHS.items() for name in names.split()}
_DAYFIRST: Final = ("day first", "day-first", "dayfirst", "dmy", "dd/mm/yyyy", "dd.mm.yyyy")
_MONTHFIRST: Final = ("month first", "month-first", "monthfirst", "mdy", "mm/dd/yyyy")
_YEARFIRST: Final = ("year first", "year-first", "ymd", "yyyy-mm-dd")
_ZONE: Final = (
    r"(?P<zone>(?:UTC|GMT)?\s*[+-]\d{2}:?\d{2}|(?:UTC|GMT)[+-]\d{1,2}|[+-]\d{2}|Z|[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/]+|[A-Z]{3,4})?"
    r"(?:\s*\[[\w/]+\]|\s*\([A-Za-z ]+\))?"
)
_CLOCK: Final = (
    r"(?P<hour>\d{1,2})(?:[:.hH](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"(?:[\s-]*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_PARTED: Final = (
    r"^(?:[A-Za-z]{2,9}\.?,?\s+)?(?P<a>\d{1,4}|\p{L}{3,10})\.?(?:st|nd|rd|th)?[-/.,\s]{1,2}(?P<b>\d{1,2}|\p{L}{3,10})\.?(?:st|nd|rd|th)?[-/.,\s]{1,2}"
    rf"(?P<c>\d{{1,4}})(?:[T,;:\s-]{{1,3}}{_CLOCK}\s*{_ZONE})?$"
)
_DIGITS: Final = (
    r"^(?P<a>\d{4})(?P<b>\d{2})(?P<c>\d{2})(?:[T,;:\s-]{1,2}(?P<hour>\d{2}):?(?P<minute>\d{2})?:?(?P<second>\d{2})?(?:[.,](?P<part>\d{1,9}))?(?:\s*(?P<half>[AaPp])[Mm])?"
    rf"\s*{_ZONE})?$"
)
_SHORT: Final = rf"^(?P<a>\d{{2}})(?P<b>\d{{2}})(?P<c>\d{{2}})[T,;:\s-]{{1,2}}{_CLOCK}\s*{_ZONE}$"
_GLUED: Final = rf"^(?P<a>\d{{1,2}})(?P<b>[A-Za-z]{{3}})(?P<c>\d{{4}}|\d{{2}})(?:[T,;:\s-]{{1,2}}{_CLOCK}\s*{_ZONE})?$"
_WITH_YEAR_LAST: Final = rf"^[A-Za-z]{{3}},?\s+(?P<b>[A-Za-z]{{3}})\s+(?P<a>\d{{1,2}})\s+{_CLOCK}\s+(?P<c>\d{{4}})\s*{_ZONE}$"
_LEAP: Final = 10 * 86_400 * 10**9
_DAY: Final = 86_400 * 10**9
_FIRST_YEAR: Final = "1900"
_LAST_YEAR: Final = "2199"


@dataclass(frozen=True)
class LocalTimes:
    """Wall-clock times in nanoseconds, with their offset from UTC where the text states one."""

    times: Ints
    offsets: Ints | None
    notes: tuple[str, ...] = ()


def from_text(column: pa.Array, origin: Origin, timeframe: Timeframe, date_format: str = "") -> LocalTimes:
    """The times in a column of text.

    Args:
        date_format: `day first`, `month first`, or a pattern as of `strptime`; "" lets the column decide.

    Raises:
        CandleFileInvalid: a text that is no time, times with and without a zone, or an order of day and month that the column leaves open.
    """
    import pyarrow.compute as pc

    if "%" in date_format:
        return _by_pattern(pc.utf8_trim_whitespace(column), origin, date_format)
    iso = _iso(column)
    return iso if iso is not None else _parts(pc.utf8_trim_whitespace(column), origin, timeframe, date_format)


def _iso(column: pa.Array) -> LocalTimes | None:
    """Times in ISO 8601, of one kind of zone: nearly every file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    naive, aware = pa.timestamp("ns"), pa.timestamp("ns", "UTC")
    years = pc.min_max(pc.utf8_slice_codeunits(column, 0, 4)).as_py()
    if not ((years["min"] or "") >= _FIRST_YEAR and (years["max"] or "") <= _LAST_YEAR):  # older versions of pyarrow let others overflow
        return None
    try:
        if pc.all(pc.ends_with(column, "Z")).as_py():
            times = _ints(pc.cast(column, aware))
            return LocalTimes(times, np.zeros(len(times), dtype=np.int64)) if _in_range(times) else None
        times = _ints(pc.cast(column, naive))
        return LocalTimes(times, None) if _in_range(times) else None
    except (pa.ArrowInvalid, ValueError):
        return None


def _ints(column: pa.Array) -> Ints:
    import pyarrow as pa

    if column.null_count:
        raise ValueError("a time is missing")
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _in_range(times: Ints) -> bool:
    return len(times) > 0 and int(times.min()) >= FIRST_NS and int(times.max()) <= LAST_NS


def _by_pattern(column: pa.Array, origin: Origin, pattern: str) -> LocalTimes:
    import pandas as pd

    texts = column.to_pylist()
    try:
        parsed = pd.to_datetime(pd.Series(texts, dtype=object), format=pattern, errors="coerce", utc="%z" in pattern)
    except ValueError as error:
        raise CandleFileInvalid(
            f"{origin.name}: --date-format {pattern!r} is no pattern of a time: {str(error).splitlines()[0]}"
        ) from error
    wrong = np.flatnonzero(parsed.isna())
    if len(wrong):
        origin.refuse(int(wrong[0]), None, f"{texts[int(wrong[0])]!r} is not written as --date-format {pattern!r} says")
    index = pd.DatetimeIndex(parsed)
    times = np.asarray(index.as_unit("ns").asi8, dtype=np.int64)
    return LocalTimes(times, None if index.tz is None else np.zeros(len(times), dtype=np.int64))


def _parts(column: pa.Array, origin: Origin, timeframe: Timeframe, date_format: str) -> LocalTimes:
    import pyarrow.compute as pc

    best: tuple[int, pa.Array] | None = None
    for form in (_PARTED, _DIGITS, _SHORT, _GLUED, _WITH_YEAR_LAST):
        fields = pc.extract_regex(column, form)
        if not best or fields.null_count < best[0]:
            best = fields.null_count, fields
        if not fields.null_count:
            break
    assert best is not None
    if best[0]:
        row = int(np.flatnonzero(np.asarray(best[1].is_null()))[0])
        origin.refuse(row, None, f"{column[row].as_py()!r} cannot be read as a time; {HINT}")
    fields = {name: best[1].field(name) for name in (field.name for field in best[1].type)}
    days, notes = _days(fields, column, origin, timeframe, date_format)
    clock, has_clock = _clock(fields, column, origin)
    times = days * _DAY + clock
    wrong = np.flatnonzero((times < FIRST_NS) | (times > LAST_NS))
    if len(wrong):
        row = int(wrong[0])
        origin.refuse(row, None, f"{column[row].as_py()!r} cannot be read as a time; {HINT}")
    if not has_clock:
        return LocalTimes(times, None, notes)
    offsets = stated_offsets(fields.get("zone"), times, origin, timeframe)
    return LocalTimes(times, offsets, (*notes, *standard_all_year(fields.get("zone"), times)))


def _numbers(field: pa.Array | None, length: int, scale: int = 0) -> Ints:
    """Digits as integers, 0 where there are none; of a fraction so many digits as `scale` says."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if field is None:
        return np.zeros(length, dtype=np.int64)
    text = pc.utf8_rpad(field, scale, "0") if scale else field
    filled = pc.if_else(pc.equal(pc.utf8_length(field), 0), "0", text)
    return np.asarray(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _clock(fields: dict[str, pa.Array], column: pa.Array, origin: Origin) -> tuple[Ints, bool]:
    """Nanoseconds since midnight, and whether any row has a time of day."""
    import pyarrow.compute as pc

    length = len(column)
    hour, minute, second = (_numbers(fields.get(name), length) for name in ("hour", "minute", "second"))
    half = fields.get("half")
    if half is not None and pc.any(pc.greater(pc.utf8_length(half), 0)).as_py():
        afternoon = np.asarray(pc.equal(pc.utf8_lower(half), "p").to_numpy(zero_copy_only=False))
        morning = np.asarray(pc.equal(pc.utf8_lower(half), "a").to_numpy(zero_copy_only=False))
        wrong = (afternoon | morning) & ((hour < 1) | (hour > 12))
        hour = np.where(wrong, 99, np.where(afternoon | morning, hour % 12 + 12 * afternoon, hour))
    bad = np.flatnonzero((hour > 23) | (minute > 59) | (second > 59))
    if len(bad):
        origin.refuse(int(bad[0]), None, f"{column[int(bad[0])].as_py()!r} cannot be read as a time; {HINT}")
    nanoseconds = ((hour * 60 + minute) * 60 + second) * 10**9 + _numbers(fields.get("part"), length, 9)
    has_clock = "hour" in fields and bool(pc.any(pc.greater(pc.utf8_length(fields["hour"]), 0)).as_py())
    return nanoseconds, has_clock


def _days(
    fields: dict[str, pa.Array], column: pa.Array, origin: Origin, timeframe: Timeframe, date_format: str
) -> tuple[Ints, tuple[str, ...]]:
    """Days since 1970, and a note where the order of day and month had to be found."""
    import pyarrow.compute as pc

    length = len(column)
    a, b, c = fields["a"], fields["b"], fields["c"]
    for named, other in ((a, b), (b, a)):
        if pc.all(pc.match_substring_regex(named, r"^\p{L}")).as_py():
            return _checked(_year(c), _month(named, origin), _numbers(other, length), column, origin), ()
    if not pc.all(pc.match_substring_regex(b, r"^\d+$")).as_py() or not pc.all(pc.match_substring_regex(a, r"^\d+$")).as_py():
        row = int(np.argmax(np.asarray(pc.match_substring_regex(b, r"^\p{L}").to_numpy(zero_copy_only=False))))
        origin.refuse(row, None, f"{column[row].as_py()!r} is written in another way than the rows before it; {HINT}")
    one, two = _numbers(a, length), _numbers(b, length)
    lengths = pc.utf8_length(a)
    if pc.all(pc.equal(lengths, 4)).as_py():
        return _checked(one, two, _numbers(c, length), column, origin), ()
    if pc.any(pc.equal(lengths, 4)).as_py():
        row = int(np.argmax(np.asarray(pc.not_equal(lengths, pc.utf8_length(a)[0]).to_numpy(zero_copy_only=False))))
        origin.refuse(row, None, f"{column[row].as_py()!r} is written in another way than the rows before it; {HINT}")
    clock, _ = _clock(fields, column, origin)
    readings = {"day first": (_year(c), two, one), "month first": (_year(c), one, two)}
    if pc.max(pc.utf8_length(c)).as_py() == 2:
        readings["year first"] = (_year(a), two, _numbers(c, length))
    return _ordered(readings, clock, column, origin, timeframe, date_format)


def _ordered(
    readings: dict[str, tuple[Ints, Ints, Ints]], clock: Ints, column: pa.Array, origin: Origin, timeframe: Timeframe, date_format: str
) -> tuple[Ints, tuple[str, ...]]:
    named = date_format.strip().lower()
    for order, names in (("day first", _DAYFIRST), ("month first", _MONTHFIRST), ("year first", _YEARFIRST)):
        if named in names and order in readings:
            return _checked(*readings[order], column, origin), ()
    if named:
        raise CandleFileInvalid(
            f"{origin.name}: --date-format {date_format!r} does not fit {column[0].as_py()!r}; write 'day first', 'month first' or a "
            "pattern like %d/%m/%Y"
        )
    decoded = {order: civil_days(*reading) for order, reading in readings.items()}
    possible = {order: days for order, (days, valid) in decoded.items() if valid.all()}
    if not possible:
        best = max(decoded, key=lambda order: int(decoded[order][1].sum()))
        row = int(np.argmin(decoded[best][1]))
        origin.refuse(row, None, f"{column[row].as_py()!r} cannot be read as a time, {best} as in other rows; {HINT}")
    if len(possible) == 1 or len({days.tobytes() for days in possible.values()}) == 1:
        order = next(iter(possible))
        return possible[order], (f"dates have the {order.split()[0]} first",) if len(possible) == 1 else ()
    whole = {order: days for order, days in possible.items() if _is_whole(days * _DAY + clock, timeframe)}
    if not whole and len(column) < 3 and len(possible) == 2 and "year first" in possible:
        whole = {order: days for order, days in possible.items() if order != "year first"}
    if len(whole) == 1:
        order = next(iter(whole))
        return whole[order], (f"dates have the {order.split()[0]} first: only so do the rows follow each other",)
    raise CandleFileInvalid(
        f"{origin.name}: {column[0].as_py()!r} may have the day or the month first, and no row decides it; "
        "add --date-format 'day first' or --date-format 'month first'"
    )


def _is_whole(times: Ints, timeframe: Timeframe) -> bool:
    """Whether rows follow each other in one direction, a timeframe apart, and never leap by weeks."""
    steps = np.diff(times)
    if len(steps) and steps[0] < 0:
        steps = -steps
    leap = max(_LEAP, 3 * timeframe.seconds * 10**9)
    return len(steps) > 0 and bool((steps >= 0).all()) and int(steps.max()) <= leap and stands_apart(times, timeframe.seconds * 10**9)


def _year(field: pa.Array) -> Ints:
    """Years; of two digits those from 69 on are of the last century."""
    import pyarrow.compute as pc

    years = _numbers(field, len(field))
    short = np.asarray(pc.less_equal(pc.utf8_length(field), 2).to_numpy(zero_copy_only=False))
    return np.where(short, years + np.where(years < 69, 2000, 1900), years)


def _month(field: pa.Array, origin: Origin) -> Ints:
    import pyarrow.compute as pc

    from forwardtrader.feeds.files.names import words_of

    encoded = pc.dictionary_encode(field)
    months = []
    for name in encoded.dictionary.to_pylist():
        plain = words_of(name).replace(" ", "")
        months.append(_MONTH_OF.get(plain[:4], _MONTH_OF.get(plain[:3], 0)))
    values = np.asarray(months, dtype=np.int64)[np.asarray(encoded.indices.to_numpy(zero_copy_only=False))]
    if (values == 0).any():
        row = int(np.argmax(values == 0))
        origin.refuse(row, None, f"{field[row].as_py()!r} is no month; {HINT}")
    return values


def _checked(year: Ints, month: Ints, day: Ints, column: pa.Array, origin: Origin) -> Ints:
    days, valid = civil_days(year, month, day)
    if not valid.all():
        row = int(np.argmin(valid))
        origin.refuse(row, None, f"{column[row].as_py()!r} cannot be read as a time; {HINT}")
    return days
