"""Times written as numbers: unix times of any unit, spreadsheets' days, and dates as 20220103.

The unit is the one under which the rows stand a timeframe apart, so that times before 1973, where a number's size does not tell its unit,
are read too. Where none fits, the size decides, and the check of the timeframe says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin

Ints = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, Any]

_SECOND: Final = 1_000_000_000
_UNITS: Final = (("seconds", _SECOND), ("milliseconds", 1_000_000), ("microseconds", 1_000), ("nanoseconds", 1))
# From 1973 on each unit has its own number of digits, and rows of one file may even differ.
_SIZES: Final = ((1e11, _SECOND), (1e14, 1_000_000), (1e17, 1_000), (np.inf, 1))
_SURE_FROM: Final = 1e8
FIRST_NS: Final = int(np.datetime64("1900-01-01", "ns").astype(np.int64))
LAST_NS: Final = int(np.datetime64("2200-01-01", "ns").astype(np.int64))
_SPREADSHEET_ZERO: Final = int(np.datetime64("1899-12-30", "ns").astype(np.int64))
_SPREADSHEET_FROM: Final = 61  # earlier days are counted wrongly by spreadsheets: they know a 29 February 1900
_DAY: Final = 86_400 * _SECOND
HINT: Final = "write times as 2024-01-31T13:00:00Z"


def from_numbers(numbers: Numbers, origin: Origin, timeframe: Timeframe) -> tuple[Ints, bool, str]:
    """Nanoseconds since 1970, whether they are local times without a zone, and a note on the notation ("" for unix times).

    Raises:
        CandleFileInvalid: a number that is no time in any notation.
    """
    finite = np.isfinite(numbers.astype(np.float64))
    if not finite.all():
        row = int(np.argmin(finite))
        origin.refuse(row, None, f"the time is {numbers[row]!s}; {HINT}")
    step = timeframe.seconds * _SECOND
    first: tuple[Ints, bool, str] | None = None
    for times, is_local, note in _readings(numbers):
        first = first or (times, is_local, note)
        if stands_apart(times, step):
            return times, is_local, note
    if first is None:
        wrong = np.flatnonzero((numbers <= 0) | (numbers > 7.2e18))
        row = int(wrong[0]) if len(wrong) else 0
        origin.refuse(row, None, f"the time is {numbers[row]!s}; {HINT}")
    return first


def stands_apart(times: Ints, step: int) -> bool:
    """Whether rows in their order, upwards or downwards, are mostly a `step` apart."""
    if len(times) < 2:
        return False
    steps = np.abs(np.diff(times))
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    return len(values) > 0 and int(values[np.argmax(counts)]) == step


def _readings(numbers: Numbers) -> Iterator[tuple[Ints, bool, str]]:
    """What the numbers may stand for, the likeliest first."""
    low, high = float(np.min(numbers)), float(np.max(numbers))
    for digits, form in ((8, "20220103"), (14, "20220103153000"), (12, "202201031530"), (10, "2022010315")):
        if 1900 * 10 ** (digits - 4) <= low and high < 2200 * 10 ** (digits - 4) and (times := _of_digits(numbers, digits)) is not None:
            yield times, True, f"times as {form}"
    if low >= _SURE_FROM:
        factor = np.select([numbers < limit for limit, _ in _SIZES], [size for _, size in _SIZES])
        if (times := _scaled(numbers, factor)) is not None:
            yield times, False, ""
    for name, size in _UNITS:
        if low * size >= FIRST_NS and high * size <= LAST_NS and (times := _scaled(numbers, size)) is not None:
            yield times, False, "" if low >= _SURE_FROM else f"unix times in {name}"
    if low >= 101 and high < 1e6 and (times := _of_digits(_with_century(numbers), 8)) is not None:
        yield times, True, "times as 220103"
    if low >= _SPREADSHEET_FROM and high < 110_000:
        # A fraction of a day has some microseconds too much or too little.
        seconds = np.round(numbers.astype(np.float64) * 86_400).astype(np.int64)
        yield seconds * _SECOND + _SPREADSHEET_ZERO, True, "times are days of a spreadsheet"


def _with_century(numbers: Numbers) -> Numbers:
    """`220103` as 20220103; of two digits those from 69 on are of the last century."""
    return numbers + np.where(numbers < 690_000, 20_000_000, 19_000_000)


def _scaled(numbers: Numbers, size: Any) -> Ints | None:
    """Nanoseconds, the whole part in integers: a float cannot hold nanoseconds since 1970. None where they are outside 1900 to 2200."""
    whole = numbers.astype(np.int64)
    times = whole * size
    if numbers.dtype.kind == "f":
        times = times + np.round((numbers - whole) * size).astype(np.int64)
    return times if len(times) and int(times.min()) >= FIRST_NS and int(times.max()) <= LAST_NS else None


def _of_digits(numbers: Numbers, digits: int) -> Ints | None:
    """Dates and times as digits: year, month, day, and as much of hour, minute and second as there are. None where one is no date."""
    whole = numbers.astype(np.int64)
    if (whole != numbers).any():
        return None
    parts: list[Ints] = []
    for _ in range((digits - 8) // 2):
        parts.insert(0, whole % 100)
        whole = whole // 100
    parts += [np.zeros_like(whole)] * (3 - len(parts))
    hour, minute, second = parts
    days, valid = civil_days(whole // 10_000, whole // 100 % 100, whole % 100)
    if not (valid & (hour < 24) & (minute < 60) & (second < 60)).all():
        return None
    return days * _DAY + (hour * 3600 + minute * 60 + second) * _SECOND


def civil_days(year: Ints, month: Ints, day: Ints) -> tuple[Ints, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Days since 1970, and which of them are dates of the calendar from 1900 on."""
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1900) & (year < 2200)
    months = ((year - 1970) * 12 + np.where(sound, month, 1) - 1).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + (np.where(sound, day, 1) - 1)
    return dates.astype(np.int64), sound & (dates.astype("datetime64[M]") == months)
