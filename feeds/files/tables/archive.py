"""The tables in a file: one, or those of an archive."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.bounds import bounded

# What readers of binary formats raise on corrupt bytes, besides their own errors.
BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError)
_DAMAGED: Final = (EOFError, OSError, RuntimeError, zlib.error, zipfile.BadZipFile, lzma.LZMAError, tarfile.TarError, *BROKEN)
_FOREIGN: Final = (
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as CSV"),
    (b"\x89HDF", "an HDF5 file; save the table as Parquet or CSV"),
    (b"SQLite format 3", "a SQLite database; save the table as Parquet or CSV"),
    (b"%PDF", "a PDF; get the candles as CSV"),
    (b"\x80\x03", "a pickle, which runs code when it is read; save the table as Parquet or CSV"),
    (b"\x80\x04", "a pickle, which runs code when it is read; save the table as Parquet or CSV"),
    (b"\x80\x05", "a pickle, which runs code when it is read; save the table as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array; save it as CSV with a header"),
)
_COLUMNAR: Final = ((b"PAR1", "parquet"), (b"ARROW1", "feather"), (b"FEA1", "feather"))
# The first kind that an archive has is read; a text beside a table is its description.
_KINDS: Final = ((".csv", ".tsv", ".tab"), (".json", ".jsonl", ".ndjson"), (".txt", ".prn", ".asc", ".dat"))
_DEEPEST: Final = 3


@dataclass(frozen=True)
class Member:
    """One table's bytes. `name` is that of the file in its archive; empty where the file is the table."""

    name: str
    data: bytes


def columnar_format(path: Path) -> str:
    """`parquet` or `feather` where the file says so by its first bytes or its name; else empty."""
    with path.open("rb") as file:
        start = file.read(8)
    return next(
        (kind for mark, kind in _COLUMNAR if start.startswith(mark)), path.suffix[1:] if path.suffix in (".parquet", ".feather") else ""
    )


def members(path: Path, most_mb: int) -> tuple[Member, ...]:
    """The tables of a text file, of a compressed one or of an archive, in the order of their names.

    Raises:
        CandleFileInvalid: damaged, too large, of a kind that holds no text, or with no table in it.
    """
    try:
        with path.open("rb") as file:
            found = tuple(_unpacked(Member("", bounded(file, path, most_mb)), path, most_mb, 0))
    except _DAMAGED as error:
        raise CandleFileInvalid(f"{path}: the compressed file is cut short or damaged; get it again") from error
    if not found:
        raise CandleFileInvalid(f"{path}: the archive holds no table; name the file with the candles")
    return found


def _unpacked(member: Member, path: Path, most_mb: int, depth: int) -> Iterator[Member]:
    data, source = member.data, io.BytesIO(member.data)
    _refuse_foreign(data, path)
    if depth > _DEEPEST:
        raise CandleFileInvalid(f"{path}: archives within archives; unpack it first")
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if "[Content_Types].xml" in names:
                raise CandleFileInvalid(f"{path}: a spreadsheet; save the sheet as CSV")
            yield from _each(((name, archive.open(name)) for name in _tables(names, path)), path, most_mb, depth)
    elif data.startswith(b"\x1f\x8b"):
        yield from _once(gzip.GzipFile(fileobj=source), member, path, most_mb, depth)
    elif data.startswith(b"BZh"):
        yield from _once(bz2.BZ2File(source), member, path, most_mb, depth)
    elif data.startswith(b"\xfd7zXZ"):
        yield from _once(lzma.LZMAFile(source), member, path, most_mb, depth)  # noqa: SIM115 (closed by `_once`)
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=source) as tape:
            files = {entry.name: entry for entry in tape.getmembers() if entry.isfile()}
            opened = ((name, tape.extractfile(files[name])) for name in _tables(list(files), path))
            yield from _each(((name, file) for name, file in opened if file is not None), path, most_mb, depth)
    else:
        yield member


def _once(file: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, member: Member, path: Path, most_mb: int, depth: int) -> Iterator[Member]:
    with file:
        yield from _unpacked(Member(member.name, bounded(file, path, most_mb)), path, most_mb, depth + 1)


def _each(files: Iterator[tuple[str, IO[bytes]]], path: Path, most_mb: int, depth: int) -> Iterator[Member]:
    taken = 0
    for name, file in files:
        with file:
            data = bounded(file, path, most_mb, taken)
        taken += len(data)
        yield from _unpacked(Member(name, data), path, most_mb, depth + 1)


def _tables(names: list[str], path: Path) -> list[str]:
    """The members that are tables; a text beside them describes them, and what a system adds of its own is passed over."""
    shown = [name for name in names if not PurePosixPath(name).name.startswith(".") and "__MACOSX" not in name]
    if binary := [name for name in shown if name.endswith((".parquet", ".feather"))]:
        raise CandleFileInvalid(f"{path}: the archive holds {binary[0]}; unpack it and name that file")
    for kinds in _KINDS:
        if found := [name for name in shown if PurePosixPath(name.removesuffix(".gz").lower()).suffix in kinds]:
            return sorted(found)
    return sorted(shown)


def _refuse_foreign(data: bytes, path: Path) -> None:
    for mark, kind in _FOREIGN:
        if data.startswith(mark):
            raise CandleFileInvalid(f"{path}: {kind}")
