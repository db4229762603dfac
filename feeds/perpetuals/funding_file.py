"""Funding files: any table with a column of times and one of rates, also those of Binance and freqtrade.

| columns | whose |
|---|---|
| `timestamp, rate` or `timestamp, funding_rate` | ours, and most others |
| `calc_time, funding_interval_hours, last_funding_rate` | Binance's monthly files |
| `symbol, fundingTime, fundingRate` | Binance's API |
| `date, open, ...` in a file named `*funding_rate*` | freqtrade, which keeps the rate as the open |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.bounds import USUAL_MB
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.names import words_of
from forwardtrader.feeds.files.numbers import column_numbers
from forwardtrader.feeds.files.tables.archive import columnar_format, members
from forwardtrader.feeds.files.tables.columnar import columnar_table
from forwardtrader.feeds.files.tables.encoding import decoded
from forwardtrader.feeds.files.tables.json_rows import is_json
from forwardtrader.feeds.files.tables.table import Table
from forwardtrader.feeds.files.times import TimeNotation, read_times
from forwardtrader.feeds.perpetuals.funding import checked, rates

_TIMES: Final = ("funding time", "calc time", "timestamp", "funding rate timestamp", "settled at", "datetime", "date", "time")
_RATES: Final = ("rate", "funding rate", "last funding rate", "fundingrate", "lastfundingrate", "realized rate")
_KEPT_AS: Final = "open"  # by freqtrade
_MINUTE: Final = Timeframe.parse("1m")
_AS_SETTLED: Final = TimeNotation(stamped="open")


def read_funding(path: Path, most_mb: int = USUAL_MB) -> pd.Series[float]:
    """The funding rates of a file, in order of time.

    Raises:
        CandleFileInvalid: the file, or a row of it, cannot be used; the message says what to mend.
    """
    parts = [_of_table(table, path) for table in _tables(path, most_mb)]
    return checked(pd.concat(parts), Origin(str(path)))


def rate_column(names: Sequence[str]) -> int | None:
    """The column of rates among columns of these names; the only one, whatever its name. None where it is not clear."""
    named = {words_of(name): place for place, name in reversed(list(enumerate(names)))}
    return 0 if len(names) == 1 else next((named[name] for name in _RATES if name in named), None)


def _tables(path: Path, most_mb: int) -> Iterator[Table]:
    if not path.is_file():
        raise CandleFileInvalid(f"{path}: no such file; check the name")
    if kind := columnar_format(path):
        yield columnar_table(path, kind, _is_wanted, most_mb)
        return
    for member in members(path, most_mb):
        name = f"{path}, {member.name}" if member.name else str(path)
        text, _ = decoded(member.data, path)
        yield _json_table(text, name) if is_json(text) else _text_table(text, name)


def _json_table(text: str, name: str) -> Table:
    """The first list of objects in a JSON text, as venues answer with."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CandleFileInvalid(f"{name}: cut short, or no JSON; get the file again") from error
    while isinstance(value, dict):
        value = next((inner for inner in value.values() if isinstance(inner, dict | list)), None)
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise CandleFileInvalid(f"{name}: no list of funding rates in this JSON; get the file again")
    names = list(value[0])
    columns = tuple(pa.array([str(row.get(key, "")) for row in value]) for key in names)
    return Table(tuple((key,) for key in names), columns, Origin(name))


def _text_table(text: str, name: str) -> Table:
    """Columns apart by commas, semicolons or tabs, whichever the first line has most of, below a line of names."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise CandleFileInvalid(f"{name}: no funding rates in it; get the file again")
    separator = max(",;\t", key=lines[0].count)
    rows = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
    uneven = next((number for number, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if uneven is not None:
        raise CandleFileInvalid(
            f"{name}, line {uneven + 1}: {len(rows[uneven])} fields, and {len(rows[0])} in the first line; mend the row"
        )
    columns = tuple(pa.array(column) for column in zip(*rows[1:], strict=True))
    return Table(tuple((cell,) for cell in rows[0]), columns, Origin(name, np.arange(2, len(rows) + 1)))


def _is_wanted(name: tuple[str, ...]) -> bool:
    return _words(name) in (*_TIMES, *_RATES, _KEPT_AS)


def _of_table(table: Table, path: Path) -> pd.Series[float]:
    named = {_words(name): place for place, name in reversed(list(enumerate(table.names)))}
    time = next((named[name] for name in _TIMES if name in named), None)
    rate = next((named[name] for name in _RATES if name in named), None)
    if rate is None and "funding" in path.name.lower():
        rate = named.get(_KEPT_AS)
    if time is None or rate is None:
        raise CandleFileInvalid(f"{path}: funding needs the columns timestamp and rate; found are {table.listed()}")
    index, _ = read_times([table.columns[time]], table.origin, _MINUTE, _AS_SETTLED)
    values = column_numbers(table.columns[rate])
    unread = np.flatnonzero(~np.isfinite(values))
    if len(unread):
        table.origin.refuse(int(unread[0]), index[int(unread[0])], "the funding rate cannot be read; correct or remove the row")
    return checked(rates(index, values), table.origin)


def _words(name: tuple[str, ...]) -> str:
    return words_of(" ".join(name))
