"""Tables of Parquet and Feather files, with the indexes and column levels that pandas kept in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.bounds import read_feather, read_parquet
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.tables.archive import BROKEN
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_TUPLE: Final = re.compile(r"\(.*\)")
_KEPT_INDEX: Final = re.compile(r"__index_level_\d+__")


def columnar_table(path: Path, kind: str, wanted: Callable[[tuple[str, ...]], bool], most_mb: int) -> Table:
    """The columns of a `parquet` or `feather` file whose header is `wanted`.

    Raises:
        CandleFileInvalid: damaged, or beyond a bound.
    """
    import pyarrow as pa

    def is_wanted(name: str) -> bool:
        return wanted(levels_of(name))

    try:
        read = (read_parquet if kind == "parquet" else read_feather)(path, is_wanted, most_mb)
    except (pa.ArrowException, OSError, *BROKEN) as error:
        raise CandleFileInvalid(f"{path}: cut short, or not a {kind} file; get it again") from error
    names = tuple(levels_of(name) for name in read.schema.names)
    if not read.num_columns or not read.num_rows:
        raise CandleFileInvalid(f"{path}: no rows of candles in it; get the file again")
    return Table(names, tuple(_joined(column) for column in read.columns), Origin(str(path)))


def levels_of(name: str) -> tuple[str, ...]:
    """The header of one column: `('Close', 'AAPL')`, as pandas writes columns of two levels, has two."""
    if _KEPT_INDEX.fullmatch(name):
        return ()
    if _TUPLE.fullmatch(name):
        try:
            parts = ast.literal_eval(name)
        except (ValueError, SyntaxError):
            return (name,)
        return tuple(map(str, parts)) if isinstance(parts, tuple) else (name,)
    return (name,)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.chunk(0) if hasattr(joined, "chunks") else joined
