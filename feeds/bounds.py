"""Bounds on users' files: an archive of two megabytes may hold gigabytes, and a column of one value repeated takes no room in a file.

What a file says of itself (rows, columns, sizes of row groups) is checked before any of it is read; archives are unpacked up to the bound.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from forwardtrader.core.errors import CandleFileInvalid

if TYPE_CHECKING:
    import pyarrow as pa

USUAL_MB: Final = 512
MOST_ROWS: Final = 20_000_000  # one-minute bars of 38 years
MOST_COLUMNS: Final = 1000
_LONGEST_TEXT: Final = 1000
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_BREAKS: Final = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # where `splitlines` does


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


def too_large(path: Path, found: str) -> CandleFileInvalid:
    """The error of a file beyond a bound."""
    return CandleFileInvalid(f"{path}: {found}; split it, or set feeds.max_file_mb higher in config.yaml if it is what it should be")


def unpacked(path: Path, most_mb: int) -> bytes:
    """The contents of a file, also of a gzipped one, or of the first member of a zip archive.

    Raises:
        CandleFileInvalid: there is more of it than `most_mb` megabytes.
        OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, NotImplementedError: it is damaged, or packed in another way.
    """
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(_GZIP):
            return bounded(gzip.GzipFile(fileobj=file), path, most_mb)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as member:
                return bounded(member, path, most_mb)
        return bounded(file, path, most_mb)


def bounded(file: Readable, path: Path, most_mb: int, taken: int = 0) -> bytes:
    """All bytes of a stream of which `taken` bytes of the bound are used up. Raises CandleFileInvalid where there are too many."""
    data = file.read(most_mb * 1_000_000 - taken + 1)
    if len(data) + taken > most_mb * 1_000_000:
        raise too_large(path, f"there are more than {most_mb} MB in it")
    return data


def lines_of(text: str, path: Path) -> list[str]:
    """The lines of a text. Raises CandleFileInvalid where they are too many."""
    if len(text) > MOST_ROWS and sum(map(text.count, _BREAKS)) > MOST_ROWS:
        raise CandleFileInvalid(f"{path}: more than {MOST_ROWS:,} lines; split it")
    return text.splitlines()


def read_parquet(path: Path, wanted: Callable[[str], bool], most_mb: int) -> pa.Table:
    """The wanted columns of a Parquet file, and those that pandas kept as its index.

    Raises:
        CandleFileInvalid: it has more rows, columns or bytes than the bounds.
        pyarrow.ArrowException, OSError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as opened:
        schema = pq.read_schema(opened)
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    # A text that is repeated stays one text: it may be as long as the file.
    with path.open("rb") as opened, pq.ParquetFile(opened, read_dictionary=texts) as file:
        names = _chosen(schema, wanted, path)
        about = file.metadata
        _check_rows(about.num_rows, schema, names, path, most_mb)
        groups = [about.row_group(n) for n in range(about.num_row_groups)]
        columns = [group.column(n) for group in groups for n in range(group.num_columns)]
        size = sum(c.total_uncompressed_size for c in columns if _holds(c.path_in_schema, names))
        if size > most_mb * 1_000_000:
            raise too_large(path, f"its columns take {size / 1e6:,.0f} MB, more than {most_mb}")
        return _plain(file.read(names), path, most_mb)


def _holds(path_in_schema: str, names: list[str]) -> bool:
    """Whether a leaf belongs to one of the columns; a column's own name may have dots in it."""
    return path_in_schema in names or path_in_schema.partition(".")[0] in names


def read_feather(path: Path, wanted: Callable[[str], bool], most_mb: int) -> pa.Table:
    """The wanted columns of a Feather file. Raises as `read_parquet`."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.feather

    with path.open("rb") as opened:
        schema = pa.ipc.open_file(opened).schema
        names = _chosen(schema, wanted, path)
    for name in names:
        if not _width(schema.field(name).type):
            raise CandleFileInvalid(f"{path}: column {name!r} is text; save it as times or numbers, or the table as Parquet or CSV")
    _check_rows(ds.dataset(path, format="feather").count_rows(), schema, names, path, most_mb)
    with path.open("rb") as opened:
        return pyarrow.feather.read_table(opened, columns=names)


def _chosen(schema: pa.Schema, wanted: Callable[[str], bool], path: Path) -> list[str]:
    """Names of the columns to read: those wanted, and what pandas kept as the index."""
    if len(schema.names) > MOST_COLUMNS:
        raise too_large(path, f"it has {len(schema.names):,} columns, more than {MOST_COLUMNS:,}")
    kept: dict[str, Any] = schema.pandas_metadata or {}
    index = [name for name in kept.get("index_columns", []) if isinstance(name, str)]
    return [name for name in schema.names if wanted(str(name).strip().lower()) or name in index]


def _check_rows(rows: int, schema: pa.Schema, names: list[str], path: Path, most_mb: int) -> None:
    if rows > MOST_ROWS:
        raise CandleFileInvalid(f"{path}: it has {rows:,} rows, more than {MOST_ROWS:,}; split it")
    width = sum(_width(schema.field(name).type) or 16 for name in names)
    if rows * width > most_mb * 1_000_000:
        raise too_large(path, f"its {rows:,} rows take {rows * width / 1e6:,.0f} MB, more than {most_mb}")


def _width(kind: pa.DataType) -> int:
    """Bytes of one value; 0 where that depends on the value."""
    try:
        return -(-kind.bit_width // 8)
    except ValueError:
        return 0


def _plain(table: pa.Table, path: Path, most_mb: int) -> pa.Table:
    """Repeated texts as plain ones. Raises CandleFileInvalid where one is longer than any time or price, or all of them too large."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type) or not _is_text(field.type.value_type):
            continue
        longest = max((pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0 for chunk in table.column(place).chunks), default=0)
        if longest > _LONGEST_TEXT:
            raise CandleFileInvalid(
                f"{path}: column {field.name!r} has texts of more than {_LONGEST_TEXT} characters; it is no table of candles"
            )
        if longest * table.num_rows > most_mb * 1_000_000:
            raise too_large(path, f"column {field.name!r} takes {longest * table.num_rows / 1e6:,.0f} MB, more than {most_mb}")
        table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def text_file(path: Path, most_mb: int) -> io.BytesIO:
    """The contents of a file as a stream. Raises as `unpacked`."""
    return io.BytesIO(unpacked(path, most_mb))
