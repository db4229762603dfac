"""Rows of a JSON answer by a mapping: where the list is, and which keys hold time and value. Pure.

Numbers may be texts, times seconds, milliseconds, microseconds or ISO 8601. A row without a usable time or value is left out and counted.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.feeds.factors.record import Fetched

_LARGEST: Final = 1e20
_MOST_ROWS: Final = 1_000_000
_EARLIEST: Final = 946_684_800_000_000_000  # 2000-01-01 in nanoseconds
_AHEAD: Final = 60_000_000_000  # a clock may be a minute off
# A number of this size or more is a time in ...: nanoseconds for each.
_UNITS: Final = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, 1_000_000_000))


@dataclass(frozen=True)
class Mapping:
    """Keys such as `data.items`, `value` or `0`; `known_at` is empty where rows do not say when they were published."""

    rows: str
    time: str
    value: str
    known_at: str = ""


def rows_of(body: bytes, mapping: Mapping, now: datetime, where: str) -> Fetched:
    """The rows of an answer about moments up to `now`.

    Raises:
        VenueUnreachable: it is no JSON, or has no such list; the message names what was found.
    """
    found = _at(_parsed(body, where), mapping.rows)
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise VenueUnreachable(f"{where} sent JSON without a list of rows at {mapping.rows or 'its top'!r}; look at rows")
    if len(found) > _MOST_ROWS:
        raise VenueUnreachable(f"{where} sent {len(found):,} rows, more than {_MOST_ROWS:,}")
    latest = int(now.timestamp() * 1e9) + _AHEAD
    rows = [row for row in (_row(each, mapping, latest) for each in found) if row is not None]
    if found and not rows:
        raise VenueUnreachable(
            f"{where} sent {len(found):,} rows and none with a time at {mapping.time!r} and a number at {mapping.value!r}"
        )
    return Fetched.of(rows, len(found) - len(rows))


def number(value: object) -> float | None:
    """A finite number, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) and abs(read) <= _LARGEST else None


def moment(value: object) -> int | None:
    """Nanoseconds UTC of a time as venues write it; None for what is none, or lies before 2000."""
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
        try:
            at = datetime.fromisoformat(value.strip())
            read = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6) * 1000
        except (ValueError, OverflowError):
            return None
    else:
        seconds = _plain_number(value)
        if seconds is None or seconds < 0:
            return None
        unit = next(unit for least, unit in _UNITS if seconds >= least)
        read = round(seconds * unit) if isinstance(seconds, float) else seconds * unit
    return read if _EARLIEST <= read < 2**62 else None


def _plain_number(value: object) -> float | int | None:
    """Whole numbers stay whole: nanoseconds have more digits than a float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value.strip()) < 20:
        return int(value)
    return number(value)


def _parsed(body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        start = body.lstrip()[:1]
        what = "a page (HTML)" if start == b"<" else "nothing" if not start else "something that is cut short or no JSON"
        raise VenueUnreachable(f"{where} sent {what} instead of JSON") from error


def _at(value: Any, path: str) -> Any:
    for key in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.lstrip("-").isdigit() and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _row(row: object, mapping: Mapping, latest: int) -> tuple[int, float, int] | None:
    if not isinstance(row, dict | list):
        return None
    at, value = moment(_at(row, mapping.time)), number(_at(row, mapping.value))
    if at is None or value is None or at > latest:
        return None
    known = moment(_at(row, mapping.known_at)) if mapping.known_at else 0
    return None if known is None or (known and known < at) else (at, value, known)
