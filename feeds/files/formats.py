"""Candle file formats: files of common sources are read into rows, which are validated later.

Known are our own `timestamp,open,high,low,close,volume`, Binance dumps (no header, 12 columns, milli- or microseconds, also both in one
file), Kraken dumps (no header, 7 columns, seconds), CryptoDataDownload (a comment line, newest row first), Yahoo daily, freqtrade
feather, Parquet, and any CSV with named columns; text may be gzipped or zipped.

Times without a zone are taken for UTC. Daily bars stamped with a local midnight keep their date. Where a file has an `Adj Close` column,
all four prices are adjusted by it: a dividend or a split is no return, and the raw prices would show it as one.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.bounds import MOST_COLUMNS, USUAL_MB, lines_of, read_feather, read_parquet, too_large, unpacked
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.times import read_times

TIME_NAMES: Final = ("timestamp", "open_time", "open time", "opentime", "unix", "unix timestamp", "datetime", "date", "time", "ts")
_BARE: Final = {
    6: ("timestamp", *OHLCV),
    7: ("timestamp", *OHLCV, "trades"),
    8: ("timestamp", "open", "high", "low", "close", "vwap", "volume", "trades"),
    12: ("timestamp", *OHLCV, "close_time", "quote_volume", "trades", "taker_base", "taker_quote", "unused"),
}
_ADJUSTED: Final = ("adj close", "adj_close", "adjclose")
_VOLUME: Final = re.compile(r"(volume|vol)\b|volume_|tick_volume")
# What readers of binary formats raise on corrupt bytes, besides their own errors.
_BROKEN: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError)


@dataclass(frozen=True)
class RawRows:
    """Rows in rising order of time where the file was sorted either way; `origin` knows the line of each."""

    frame: pd.DataFrame
    origin: Origin


def read_rows(path: Path, symbol: str, timeframe: Timeframe, most_mb: int = USUAL_MB) -> RawRows:
    """Read `path`; prices may still be text or wrong.

    Args:
        most_mb: megabytes that may be in it once it is unpacked.

    Raises:
        CandleFileInvalid: missing, empty, cut short, too large, of no known form, or with a time that cannot be read.
    """
    if not path.is_file():
        raise CandleFileInvalid(f"{path}: no such file; check the name")
    if path.stat().st_size == 0:
        raise CandleFileInvalid(f"{path}: the file is empty; get it again")
    if path.suffix in (".parquet", ".feather"):
        table, lines = _read_columns(path, most_mb), None
    else:
        table, lines = _read_text(path, most_mb)
    return _oldest_first(_named(table, lines, path, symbol, timeframe))


def _read_columns(path: Path, most_mb: int) -> pd.DataFrame:
    import pyarrow as pa

    try:
        frame = (read_parquet if path.suffix == ".parquet" else read_feather)(path, _is_read, most_mb)
    except (pa.ArrowException, OSError, *_BROKEN) as error:
        raise CandleFileInvalid(f"{path}: cut short, or not a {path.suffix[1:]} file; get it again") from error
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.rename_axis(index=str(frame.index.name or "timestamp")).reset_index()


def _is_read(name: str) -> bool:
    """Whether a column, by its lower-case name, is one that candles are made of."""
    return name in (*TIME_NAMES, *OHLCV, *_ADJUSTED) or _VOLUME.match(name) is not None


def _read_text(path: Path, most_mb: int) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    lines = lines_of(_decoded(path, most_mb), path)
    filled = np.flatnonzero([bool(line.strip()) for line in lines])
    if not len(filled):
        raise CandleFileInvalid(f"{path}: the file is empty; get it again")
    head = _heading(lines, filled)
    separator = max(",;\t", key=lines[filled[head]].count)
    if lines[filled[head]].count(separator) >= MOST_COLUMNS:
        raise too_large(path, f"it has more than {MOST_COLUMNS:,} columns")
    names, body = _column_names(lines, filled, head, separator, path)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CandleFileInvalid(f"{path}: column {twice!r} stands twice in the header; give each column a name of its own")
    _check_fields(lines, filled[body:], separator, len(names), path)
    kept = "\n".join(lines[i] for i in filled[body:]).encode()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(io.BytesIO(kept), sep=separator, names=names, index_col=False, low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise CandleFileInvalid(f"{path}: no rows below the header, or rows of unequal length; get the file again") from error
    return table, filled[body:] + 1


def _decoded(path: Path, most_mb: int) -> str:
    try:
        data = unpacked(path, most_mb)
    except (EOFError, OSError, RuntimeError, zlib.error, zipfile.BadZipFile, *_BROKEN) as error:
        raise CandleFileInvalid(f"{path}: the compressed file is cut short or damaged; get it again") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CandleFileInvalid(f"{path}: not a text file in UTF-8; convert it, or use .parquet or .feather") from error


def _heading(lines: list[str], filled: np.ndarray[Any, Any]) -> int:
    """Position in `filled` of the first line that is neither a comment nor a lone sentence above the table."""
    for position, number in enumerate(filled[:5]):
        if not lines[number].lstrip().startswith("#") and any(lines[number].count(mark) >= 4 for mark in ",;\t"):
            return position
    return 0


def _column_names(lines: list[str], filled: np.ndarray[Any, Any], head: int, separator: str, path: Path) -> tuple[list[str], int]:
    """Lower-case names of the columns, and the position in `filled` of the first row."""
    fields = [field.strip().strip('"') for field in lines[filled[head]].split(separator)]
    if not fields[0] or re.match(r"[-+.\d]", fields[0]):
        if fields[0] and len(fields) in _BARE:
            return list(_BARE[len(fields)]), head
        if fields[0]:
            raise CandleFileInvalid(
                f"{path}: no header, and {len(fields)} columns fit no known form; add a line timestamp,{','.join(OHLCV)}"
            )
        fields[0] = "timestamp"  # a data frame saved with its nameless index
    names = [field.lower() for field in fields]
    after = [lines[number].lower() for number in filled[head + 1 : head + 3]]
    if names[0] == "price" and len(after) == 2 and after[0].startswith("ticker") and after[1].startswith("date"):
        return ["date", *names[1:]], head + 3  # Yahoo through yfinance: three heading lines
    return names, head + 1


def _check_fields(lines: list[str], rows: np.ndarray[Any, Any], separator: str, count: int, path: Path) -> None:
    for number in rows:
        line = lines[number]
        found = line.count(separator) + 1
        if found != count and '"' not in line:
            hint = "the file is cut short, get it again" if number == rows[-1] and found < count else "correct or remove the row"
            raise CandleFileInvalid(f"{path}, line {number + 1}: {found} fields where {count} are expected; {hint}")


def _named(table: pd.DataFrame, lines: np.ndarray[Any, Any] | None, path: Path, symbol: str, timeframe: Timeframe) -> RawRows:
    table.columns = pd.Index([str(name).strip().lower() for name in table.columns])
    origin = Origin(str(path), lines)
    times = read_times(_time_column(table, path), origin, timeframe)
    chosen: dict[str, Any] = {}
    for name in OHLCV[:4]:
        if name not in table.columns:
            raise CandleFileInvalid(f"{path}: column {name!r} is missing; found are {', '.join(table.columns)}")
        chosen[name] = table[name].to_numpy()
    chosen["volume"] = table[_volume_column(table, path, symbol)].to_numpy()
    frame = pd.DataFrame(chosen, index=times)
    return RawRows(_adjusted(frame, table), origin)


def _time_column(table: pd.DataFrame, path: Path) -> pd.Series[Any]:
    if "date" in table.columns and "time" in table.columns and table["date"].dtype.kind not in "iufM":
        return table["date"].astype(str) + " " + table["time"].astype(str)
    for name in TIME_NAMES:
        if name in table.columns:
            return table[name]
    raise CandleFileInvalid(f"{path}: no column of times; name one of them timestamp, date or time")


def _volume_column(table: pd.DataFrame, path: Path, symbol: str) -> str:
    base = symbol.split("/")[0].lower()
    candidates = [name for name in table.columns if _VOLUME.match(name)]
    if not candidates:
        raise CandleFileInvalid(f"{path}: column 'volume' is missing; found are {', '.join(table.columns)}")
    exact = [name for name in candidates if name == "volume"]
    of_base = [name for name in candidates if re.search(rf"\b{re.escape(base)}\b", name.replace("_", " "))]
    return (exact or of_base or candidates)[0]


def _adjusted(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    column = next((name for name in _ADJUSTED if name in table.columns), None)
    if column is None:
        return frame
    prices = frame[list(OHLCV[:4])].apply(pd.to_numeric, errors="coerce")
    factor = pd.to_numeric(table[column], errors="coerce").to_numpy() / prices["close"].to_numpy()
    usable = np.isfinite(factor) & (factor > 0)
    if not usable.all():
        return frame  # the validation reports a faulty row with its line
    return pd.DataFrame({**{name: prices[name] * factor for name in prices.columns}, "volume": frame["volume"]}, index=frame.index)


def _oldest_first(rows: RawRows) -> RawRows:
    index = rows.frame.index
    if len(index) < 2 or not index.is_monotonic_decreasing or index[0] == index[-1]:
        return rows
    lines = rows.origin.lines
    count = np.arange(len(index), 0, -1) if lines is None else lines[::-1]
    return RawRows(rows.frame[::-1], Origin(rows.origin.name, count))
