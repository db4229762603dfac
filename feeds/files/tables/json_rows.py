"""Tables of JSON: rows of lists or objects, columns of lists, or bars by their time, wherever they stand in what a venue answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.bounds import MOST_COLUMNS, MOST_ROWS, too_large
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST_COLUMNS: Final = 5
_DEEPEST: Final = 8

_ROW: Final = re.compile(r"\[\s*[\"\d][^\[\]]*,[^\[\]]*(\]|$)")
_MOST_BESIDE: Final = 100
_SHORT: Final = 40

Columns = dict[str, list[object]]


def is_json(text: str) -> bool:
    """Whether a text begins as JSON does."""
    start = text.lstrip()[:200]
    is_row = _ROW.match(start) is not None  # a list of numbers a line
    return is_row or start.startswith("{") or (start.startswith("[") and start[1:].lstrip()[:1] in ("[", "{", "]"))


def json_table(text: str, name: str, path: Path) -> Table:
    """The table in a JSON text, or in one object a line.

    Raises:
        CandleFileInvalid: no JSON, or nothing in it is a table of candles.
    """
    found = list(_tables(_parsed(text, name), 0, {}))
    if not found:
        raise CandleFileInvalid(f"{name}: no table of candles in this JSON; needed are rows of time, open, high, low, close and volume")
    columns, named, beside = max(found, key=lambda table: len(next(iter(table[0].values()))))
    alike = sum(list(other) == list(columns) for other, _, _ in found)
    if alike > 1:
        raise CandleFileInvalid(f"{name}: {alike} tables of the same columns in it; save each in a file of its own")
    longest = len(next(iter(columns.values())))
    if longest > MOST_ROWS:
        raise CandleFileInvalid(f"{name}: more than {MOST_ROWS:,} rows; split it")
    if len(columns) > MOST_COLUMNS:
        raise too_large(path, f"it has more than {MOST_COLUMNS:,} columns")
    names = tuple((key,) if key else () for key in columns)
    return Table(names, tuple(_array(values) for values in columns.values()), Origin(name), has_header=named, beside=beside)


def _parsed(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines] if len(lines) > 1 else _cut(name, error)
        except (ValueError, RecursionError) as each:
            return _cut(name, each)


def _cut(name: str, error: BaseException) -> object:
    raise CandleFileInvalid(f"{name}: the JSON is cut short or damaged; get it again") from error


def _tables(value: object, depth: int, beside: Mapping[str, str]) -> Iterator[tuple[Columns, bool, Mapping[str, str]]]:
    """Tables in a value: their columns, whether these have names, and the short texts that stand beside them."""
    if depth > _DEEPEST:
        return
    beside = {**beside, **_texts(value)}
    table = _table(value)
    if table is not None:
        yield (*table, beside)
        return
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) and len(value) <= 100 else ():
        yield from _tables(inner, depth + 1, beside)


def _texts(value: object) -> dict[str, str]:
    """The short texts of an object, and of those right inside it."""
    parts = [value, *value.values()] if isinstance(value, Mapping) else []
    held = [part for part in parts if isinstance(part, Mapping) and len(part) <= _MOST_BESIDE]
    return {str(key): text for part in reversed(held) for key, text in part.items() if isinstance(text, str) and len(text) <= _SHORT}


def _table(value: object) -> tuple[Columns, bool] | None:
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return _of_lists(value)
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return _of_objects(value)
    if isinstance(value, Mapping) and value and all(isinstance(row, Mapping) for row in value.values()):
        return _by_key(value)
    if isinstance(value, Mapping):
        if isinstance(value.get("data"), list) and isinstance(value.get("columns"), list):
            return _split_frame(value)
        return _of_columns(value)
    return None


def _of_lists(rows: Sequence[list[object]]) -> tuple[Columns, bool] | None:
    width = len(rows[0])
    if width < _LEAST_COLUMNS or any(len(row) != width for row in rows) or any(isinstance(cell, list | Mapping) for cell in rows[0]):
        return None
    head = rows[0]
    named = all(isinstance(cell, str) and not cell[:1].isdigit() for cell in head)
    body = rows[1:] if named else rows
    return ({str(head[place]) if named else str(place): [row[place] for row in body] for place in range(width)}, named) if body else None


def _of_objects(rows: Sequence[Mapping[str, object]]) -> tuple[Columns, bool] | None:
    flat = [_flat(row) for row in rows]
    keys = list(dict.fromkeys(key for row in flat for key in row))
    return ({key: [row.get(key) for row in flat] for key in keys}, True) if len(keys) >= _LEAST_COLUMNS else None


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """`{"mid": {"o": 1}}` as `{"mid o": 1}`."""
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{key} {inner}": cell for inner, cell in value.items() if not isinstance(cell, list | Mapping)}
        elif not isinstance(value, list):
            flat[key] = value
    return flat


def _by_key(value: Mapping[str, Mapping[str, object]]) -> tuple[Columns, bool] | None:
    """Bars by their time, or columns by their name with cells by row."""
    outer, inner = list(value), list(next(iter(value.values())))
    if any(isinstance(cell, list | Mapping) for row in value.values() for cell in row.values()):
        return None
    names = {key.lower() for key in outer}
    if {"open", "close"} <= names:
        rows = {key: list(cells) for key, cells in value.items()}
        if any(keys != inner for keys in rows.values()):
            return None
        return {"": list(inner), **{key: list(cells.values()) for key, cells in value.items()}}, True
    if len(inner) < _LEAST_COLUMNS - 1:
        return None
    return _of_objects([{"": key, **cells} for key, cells in value.items()])


def _split_frame(value: Mapping[str, object]) -> tuple[Columns, bool] | None:
    """A frame as pandas writes it with `orient="split"`, and likewise where a venue sends names and rows apart."""
    names, rows, index = value["columns"], value["data"], value.get("index")
    assert isinstance(names, list)
    assert isinstance(rows, list)
    if not rows or any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        return None
    columns: Columns = {str(name): [row[place] for row in rows] for place, name in enumerate(names)}
    return ({"": index, **columns} if isinstance(index, list) and len(index) == len(rows) else columns), True


def _of_columns(value: Mapping[str, object]) -> tuple[Columns, bool] | None:
    """Lists of equal length within one object, also some levels deep."""
    lists = dict(_lists(value, 0))
    if not lists:
        return None
    longest = max(map(len, lists.values()))
    columns = {key: cells for key, cells in lists.items() if len(cells) == longest}
    return (columns, True) if longest and len(columns) >= _LEAST_COLUMNS else None


def _lists(value: Mapping[str, object], depth: int) -> Iterator[tuple[str, list[object]]]:
    for key, cells in value.items():
        if isinstance(cells, list) and cells and not any(isinstance(cell, list | Mapping) for cell in cells):
            yield str(key), cells
        elif isinstance(cells, Mapping) and depth < _DEEPEST:
            yield from _lists(cells, depth + 1)
        elif isinstance(cells, list) and len(cells) == 1 and isinstance(cells[0], Mapping) and depth < _DEEPEST:
            yield from _lists(cells[0], depth + 1)


def _array(values: list[object]) -> pa.Array:
    import pyarrow as pa

    if all(value is None or isinstance(value, int) for value in values):
        kind: pa.DataType = pa.int64()
    elif all(value is None or isinstance(value, int | float) for value in values):
        kind = pa.float64()
    else:
        kind = pa.string()
        values = [None if value is None else value if isinstance(value, str) else repr(value) for value in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
