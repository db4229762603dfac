"""Factor files: which column holds the value, and when it became known.

| columns | what it is | known after its time stamp | not known when older than |
|---|---|---|---|
| `timestamp, funding_rate` | perpetual funding | at once: it is settled then | 1 day |
| `timestamp, value, classification` | fear and greed of a day | 1 day | 3 days |
| `timestamp, open, high, low, close` | another market's candles; the close | one bar | 3 bars, 1 day at least |
| `timestamp, known_at, ...` | anything with both of its times | `known_at` | 3 days |

For any other file the user must state when its values became known: a wrong guess would be look-ahead.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import ValidationError

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings, read_entry
from forwardtrader.core.types import parse_span
from forwardtrader.feeds.bounds import USUAL_MB, read_parquet, text_file
from forwardtrader.feeds.factors.series import ordered

TIMES: Final = ("timestamp", "date", "time", "datetime")
KNOWN_AT: Final = "known_at"
DAY: Final = timedelta(days=1)
USUAL_AGE: Final = timedelta(days=3)
_PRICES: Final = {"open", "high", "low", "close"}
_SPANS: Final = ("known_after", "max_age", "known_before", "every")
_OPTIONS: Final = ("name", "column", "kind", "exchange", "symbol", *_SPANS)


@dataclass(frozen=True)
class Reading:
    """How a file is read: the column of values, when they became known (None: from the column `known_at`), and how long they last."""

    column: str
    known_after: timedelta | None
    max_age: timedelta


def parse_factor(text: str) -> FactorSettings:
    """Read `[NAME=]FILE[,column=...][,known_after=1d][,max_age=3d]`, as `--factor` takes it; a kind may stand for the file.

    Raises:
        InvalidSetting: an unknown option, or an invalid span or name.
    """
    first, *rest = text.split(",")
    name, sign, file = first.rpartition("=")
    given: dict[str, Any] = {"name": name if sign else "", **_file_or_kind(file)}
    for part in rest:
        option, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or option not in _OPTIONS:
            raise InvalidSetting(f"--factor {text}: {part!r} is not one of {', '.join(_OPTIONS)}{nearest(option, _OPTIONS)}")
        given[option] = parse_span(value) if option in _SPANS else value
    if not file:
        raise InvalidSetting(f"--factor {text!r}: name a file, as in --factor funding.csv")
    if not re.fullmatch(r"[a-z0-9_]*", str(given.get("name", ""))):
        raise InvalidSetting(f"--factor {text}: a name has lower-case letters, digits and _ only")
    try:
        return FactorSettings.model_validate(given)
    except ValidationError as error:
        raise InvalidSetting(f"--factor {text}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def _file_or_kind(text: str) -> dict[str, str]:
    said = read_entry(text)
    assert isinstance(said, dict)
    return said if "kind" in said else {"file": str(typed_path(text)) if text else ""}


def read_table(path: Path) -> pd.DataFrame:
    """The file's rows, its columns in lower case.

    Raises:
        CandleFileInvalid: it is missing, empty, damaged or too large, or has no column of times.
    """
    try:
        table = _parquet(path) if path.is_file() and _is_parquet(path) else pd.read_csv(text_file(path, USUAL_MB))
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise CandleFileInvalid(f"{path}: missing, empty or cut short; get the file again") from error
    table.columns = pd.Index([str(name).strip().lower() for name in table.columns])
    stamps = next((name for name in TIMES if name in table.columns), None)
    if stamps is None:
        raise CandleFileInvalid(f"{path}: a factor needs a column 'timestamp'; found are {', '.join(table.columns)}")
    return table.rename(columns={stamps: TIMES[0]})


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        return read_parquet(path, lambda _name: True, USUAL_MB).to_pandas().reset_index()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def usual_name(settings: FactorSettings, columns: Sequence[str]) -> str:
    """The name that was given, or that of the known form, or the file's own."""
    if settings.name:
        return settings.name
    if "funding_rate" in columns:
        return "funding_rate"
    if {"value", "classification"} <= set(columns):
        return "fear_and_greed"
    return re.sub(r"[^a-z0-9]+", "_", Path(settings.file).name.split(".")[0].lower()).strip("_") or "factor"


def reading_of(settings: FactorSettings, table: pd.DataFrame) -> Reading:
    """How to read this table, from the settings and its columns.

    Raises:
        InvalidSetting: it is not clear which column is meant, or when its values became known.
    """
    known = _known_form(table)
    column = settings.column.lower() or (known.column if known else _only_number(settings, table.columns))
    if column not in table.columns:
        raise InvalidSetting(f"{settings.file}: column {column!r} is missing; found are {', '.join(table.columns)}")
    own_times = KNOWN_AT in table.columns
    if settings.known_after is not None and own_times:
        raise InvalidSetting(f"{settings.file} has a column known_at; leave known_after out, or the column")
    if settings.known_after is None and not own_times and known is None:
        raise InvalidSetting(
            f"{settings.file}: say how long after its time stamp a value became known, e.g. --factor {settings.file},known_after=1d "
            "(or add a column known_at)"
        )
    after = settings.known_after if settings.known_after is not None or own_times else known.known_after if known else None
    return Reading(column, after, settings.max_age or (known.max_age if known else USUAL_AGE))


def soonest_known(table: pd.DataFrame) -> timedelta:
    """How long after its time stamp a value of a known form can have been known at the earliest; 0 for other files."""
    known = _known_form(table)
    return known.known_after or timedelta(0) if known else timedelta(0)


def observations_of(settings: FactorSettings, table: pd.DataFrame, reading: Reading, name: str) -> pd.DataFrame:
    """As `FactorSource.observations`; rows whose value is left empty are no observations.

    Raises:
        CandleFileInvalid: a time or a value that cannot be read; the message names the line.
        FactorNotYetPublished: a value would be known before its time.
    """
    describes = times_of(settings, table[TIMES[0]])
    known_at = times_of(settings, table[KNOWN_AT]) if reading.known_after is None else describes + reading.known_after
    values = pd.to_numeric(table[reading.column], errors="coerce")
    empty = table[reading.column].isna()
    wrong = np.flatnonzero(~np.isfinite(values) & ~empty)
    if len(wrong):
        raise CandleFileInvalid(f"{settings.file}, line {wrong[0] + 2}: {reading.column} cannot be read; correct or remove the row")
    frame = pd.DataFrame({"describes": describes, "known_at": known_at, "value": values})
    return ordered(frame.loc[~empty], name)


def distinct(names: Iterable[str]) -> None:
    """Refuse two factors of one name. Raises `InvalidSetting`."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidSetting(f"two factors are called {name}; give one another name: --factor NAME=FILE")
        seen.add(name)


def _known_form(table: pd.DataFrame) -> Reading | None:
    columns = set(table.columns)
    if "funding_rate" in columns:
        return Reading("funding_rate", timedelta(0), DAY)
    if {"value", "classification"} <= columns:
        return Reading("value", DAY, USUAL_AGE)
    if columns >= _PRICES:
        bar = _bar_length(table)
        return Reading("close", bar, max(3 * bar, DAY))
    return None


def _bar_length(table: pd.DataFrame) -> timedelta:
    times = pd.to_datetime(table[TIMES[0]], utc=True, format="ISO8601", errors="coerce").dropna()
    return timedelta(days=1) if len(times) < 2 else times.diff().iloc[1:].min().to_pytimedelta()


def _only_number(settings: FactorSettings, columns: Iterable[str]) -> str:
    found = [name for name in columns if name not in (*TIMES, KNOWN_AT, "classification")]
    if len(found) != 1:
        raise InvalidSetting(
            f"{settings.file} has the columns {', '.join(found) or 'of times only'}; say which one: --factor {settings.file},column=..."
        )
    return found[0]


def times_of(settings: FactorSettings, column: pd.Series[Any]) -> pd.Series[Any]:
    times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    wrong = np.flatnonzero(times.isna())
    if len(wrong):
        raise CandleFileInvalid(
            f"{settings.file}, line {wrong[0] + 2}: {column.name} {column.iloc[wrong[0]]!r} is not a time; write 2024-01-31T13:00:00Z"
        )
    return times
