"""Bounds on users' files: an archive of two megabytes may hold gigabytes, and a column of one value repeated takes no room in a file.

What a file says of itself (rows, columns, sizes of row groups) is checked before any of it is read; archives are unpacked up to the bound.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pandas as pd

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
            return _bounded(gzip.GzipFile(fileobj=file), path, most_mb)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as member:
                return _bounded(member, path, most_mb)
        return _bounded(file, path, most_mb)


def _bounded(file: IO[bytes] | gzip.GzipFile, path: Path, most_mb: int) -> bytes:
    data = file.read(most_mb * 1_000_000 + 1)
    if len(data) > most_mb * 1_000_000:
        raise too_large(path, f"there are more than {most_mb} MB in it")
    return data


def lines_of(text: str, path: Path) -> list[str]:
    """The lines of a text. Raises CandleFileInvalid where they are too many."""
    if sum(map(text.count, _BREAKS)) > MOST_ROWS:
        raise CandleFileInvalid(f"{path}: more than {MOST_ROWS:,} lines; split it")
    return text.splitlines()


def read_parquet(path: Path, wanted: Callable[[str], bool], most_mb: int) -> pd.DataFrame:
    """The wanted columns of a Parquet file, and its index.

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
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema.partition(".")[0] in names)
        if size > most_mb * 1_000_000:
            raise too_large(path, f"its columns take {size / 1e6:,.0f} MB, more than {most_mb}")
        return _plain(file.read(names, use_pandas_metadata=True).to_pandas(), path)


def read_feather(path: Path, wanted: Callable[[str], bool], most_mb: int) -> pd.DataFrame:
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
        return pyarrow.feather.read_table(opened, columns=names).to_pandas()


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


def _plain(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Repeated texts as texts, each kept once. Raises CandleFileInvalid where one is longer than any time or price."""
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    for name in texts:
        if max(frame[name].cat.categories.str.len(), default=0) > _LONGEST_TEXT:
            raise CandleFileInvalid(f"{path}: column {name!r} has texts of more than {_LONGEST_TEXT} characters; it is no table of candles")
    return frame.assign(**{name: frame[name].astype(object) for name in texts}) if texts else frame


def text_file(path: Path, most_mb: int) -> io.BytesIO:
    """The contents of a file as a stream. Raises as `unpacked`."""
    return io.BytesIO(unpacked(path, most_mb))
