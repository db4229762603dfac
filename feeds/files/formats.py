"""Candle files: bytes become a table, its columns and times get their meaning, and rows come out that are validated later.

Formats are known by what they contain, not by who made them: `tables/` finds the table, `names.py` and `columns.py` say which column is
which, `dates.py`, `epochs.py` and `zones.py` what a time means, `numbers.py` what a number is, `volumes.py` and `adjustment.py`
prove volume and prices. What was decided or left out on the way is a note; what has two meanings is refused. `docs/candle-files.md` lists
the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import FLOW, OHLCV, Timeframe
from forwardtrader.feeds.bounds import USUAL_MB
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.files import names
from forwardtrader.feeds.files.adjustment import adjusted
from forwardtrader.feeds.files.columns import Columns, find_columns
from forwardtrader.feeds.files.layouts import with_names
from forwardtrader.feeds.files.markets import checked_market, of_market
from forwardtrader.feeds.files.numbers import column_numbers, read_numbers
from forwardtrader.feeds.files.rows import RawRows, in_order, joined, of_timeframe
from forwardtrader.feeds.files.symbol import Market
from forwardtrader.feeds.files.tables.archive import Member, columnar_format, members
from forwardtrader.feeds.files.tables.columnar import columnar_table
from forwardtrader.feeds.files.tables.encoding import decoded
from forwardtrader.feeds.files.tables.json_rows import is_json, json_table
from forwardtrader.feeds.files.tables.table import Table
from forwardtrader.feeds.files.tables.text import text_table
from forwardtrader.feeds.files.times import AS_WRITTEN, TimeNotation, read_times
from forwardtrader.feeds.files.volumes import VolumeColumns, base_volume, find_volumes


@dataclass(frozen=True)
class _Wanted:
    """What a file is read as."""

    market: Market
    timeframe: Timeframe
    notation: TimeNotation


def read_rows(path: Path, symbol: str, timeframe: Timeframe, most_mb: int = USUAL_MB, notation: TimeNotation = AS_WRITTEN) -> RawRows:
    """Read `path`; prices may still be text or wrong.

    Args:
        most_mb: megabytes that may be in it once it is unpacked.
        notation: what the user says of dates and zones.

    Raises:
        CandleFileInvalid: missing, empty, cut short, too large, of no known form, of another market, or with a time that cannot be read.
    """
    if not path.is_file():
        raise CandleFileInvalid(f"{path}: no such file; check the name")
    if path.stat().st_size == 0:
        raise CandleFileInvalid(f"{path}: the file is empty; get it again")
    wanted = _Wanted(Market.of(symbol, path.name), timeframe, notation)
    if kind := columnar_format(path):
        return _rows(columnar_table(path, kind, names.is_wanted, most_mb), wanted)
    found = members(path, most_mb)
    if len(found) == 1:
        return _rows(_table(found[0], path), wanted)
    parts = of_timeframe([_rows(_table(member, path), wanted) for member in of_market(found, path, wanted.market)], timeframe)
    for part in parts:  # here, where the lines are known
        candles.validate(part.frame, timeframe, origin=part.origin, whole=False, own_grid=True)
    return joined(parts, str(path))


def _table(member: Member, path: Path) -> Table:
    name = f"{path}, {member.name}" if member.name else str(path)
    text, notes = decoded(member.data, path)
    return (json_table if is_json(text) else text_table)(text, name, path).noted(*notes)


def _rows(table: Table, wanted: _Wanted) -> RawRows:
    if not table.has_header:
        table = with_names(table)
    table = checked_market(table, wanted.market)
    columns = find_columns(table, wanted.market)
    volumes = find_volumes(table, wanted.market.symbol, columns.group)
    index, told = read_times(
        [table.columns[place] for place in columns.times], table.origin, wanted.timeframe, replace(wanted.notation, stated=columns.zone),
        closes=columns.closes,
    )  # fmt: skip
    values, how = _values(table, columns, volumes, wanted.timeframe)
    frame = pd.DataFrame(values | _flow(table, columns, volumes, values), index=index)
    return in_order(RawRows(frame, table.origin, (*table.notes, *columns.notes, *told, *how)))


def _values(table: Table, columns: Columns, volumes: VolumeColumns, timeframe: Timeframe) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The five columns of candles."""
    needed = {str(place): table.columns[place] for place in {*columns.prices, *volumes.places, *_adjusted_places(columns)}}
    read, notes = read_numbers(needed, table.origin.name)
    raw: dict[int, Any] = {int(place): values for place, values in read.items()}
    prices = raw[columns.prices[0]], raw[columns.prices[1]], raw[columns.prices[2]], raw[columns.prices[3]]
    if _in_billionths(prices, table):
        prices, notes = tuple(each / 1e9 for each in prices), (*notes, "prices are in units of 1e-9")
    faulty = [raw[place] for place in volumes.places if raw[place].dtype == object]
    if faulty or any(values.dtype == object for values in prices):
        shown = (*prices, (faulty or [raw[volumes.places[0]]])[0])  # the validation reports a faulty value with its line
        return dict(zip(OHLCV, shown, strict=True)), notes
    volume = base_volume(volumes, raw, prices, timeframe.seconds, table)
    amounts = raw[volume.place] if volume.values is None else volume.values
    notes = (*notes, *volume.notes)
    if columns.adjusted is not None:
        amounts = amounts * _ratio(prices[3], raw[columns.adjusted[3]]) if columns.adjusted_volume is None else raw[columns.adjusted_volume]
        prices = tuple(raw[place] for place in columns.adjusted)
        notes = (*notes, "the adjusted prices of the file are read")
    elif columns.adjusted_close is not None:
        close = pd.to_numeric(pd.Series(raw[columns.adjusted_close]), errors="coerce").to_numpy(dtype=np.float64)
        prices, amounts, how = adjusted(prices, amounts, close, table.origin)
        notes = (*notes, *how)
    return dict(zip(OHLCV, (*prices, amounts), strict=True)), notes


def _flow(table: Table, columns: Columns, volumes: VolumeColumns, values: dict[str, Any]) -> dict[str, Any]:
    """Taker volume and number of trades beside a volume that is read as the file has it."""
    if columns.flow is None or columns.adjusted is not None or columns.adjusted_close is not None:
        return {}
    read = dict(zip(FLOW, (column_numbers(table.columns[place]) for place in columns.flow), strict=True))
    as_written = any(values["volume"] is each or np.array_equal(values["volume"], each) for each in _plain_volumes(table, volumes))
    return read if as_written else {}


def _plain_volumes(table: Table, volumes: VolumeColumns) -> list[Any]:
    return [column_numbers(table.columns[place]) for place in volumes.places]


def _in_billionths(prices: tuple[Any, ...], table: Table) -> bool:
    """Databento writes prices as whole numbers, unless it is asked for decimals."""
    words = {names.words_of(" ".join(levels)) for levels in table.names}
    return {"publisher id", "instrument id"} <= words and all(p.dtype != object and (p % 1 == 0).all() and (p > 1e6).all() for p in prices)


def _adjusted_places(columns: Columns) -> tuple[int, ...]:
    close = () if columns.adjusted_close is None else (columns.adjusted_close,)
    volume = () if columns.adjusted_volume is None else (columns.adjusted_volume,)
    return (*(columns.adjusted or ()), *close, *volume)


def _ratio(close: Any, adjusted_close: Any) -> Any:
    """What volumes are worth beside adjusted prices, so that turnover stays."""
    return np.divide(close, adjusted_close, out=np.ones_like(close), where=(adjusted_close > 0) & (adjusted_close != close))
