"""Candle file formats: which columns and lines become rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.formats import RawRows, read_rows

HOUR = Timeframe.parse("1h")
ROWS = ["2024-01-01T00:00:00Z,1,2,0.5,1.5,10", "2024-01-01T01:00:00Z,1.5,3,1,2,20"]


def rows_of(folder: Path, *lines: str) -> RawRows:
    path = folder / "candles.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_rows(path, "BTC/USDT", HOUR)


def test_a_comment_above_the_header_is_skipped_and_lines_are_counted_with_it(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "# from somewhere", "", "timestamp,open,high,low,close,volume", *ROWS)
    assert rows.frame["close"].tolist() == [1.5, 2.0]
    assert rows.origin.lines is not None and rows.origin.lines.tolist() == [4, 5]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_recognised(tmp_path: Path, separator: str) -> None:
    lines = [line.replace(",", separator) for line in ("Date,Open,High,Low,Close,Volume", *ROWS)]
    assert rows_of(tmp_path, *lines).frame["volume"].tolist() == [10, 20]


def test_the_volume_of_the_base_asset_is_taken(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "timestamp,open,high,low,close,Volume USDT,Volume BTC", *(f"{line},7" for line in ROWS))
    assert rows.frame["volume"].tolist() == [7, 7]


def test_a_file_with_the_newest_row_first_is_turned_round_with_its_lines(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "timestamp,open,high,low,close,volume", *reversed(ROWS))
    assert rows.frame.index.is_monotonic_increasing
    assert rows.origin.lines is not None and rows.origin.lines.tolist() == [3, 2]


def test_prices_are_adjusted_by_an_adjusted_close(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "date,open,high,low,close,volume,adj close", f"{ROWS[0]},0.75", f"{ROWS[1]},2")
    assert rows.frame["open"].tolist() == [0.5, 1.5]
    assert rows.frame["close"].tolist() == [0.75, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["timestamp,open,high,low,volume", "1,2,3,4,5"], "column 'close' is missing"),
        (["open,high,low,close,volume", "1,2,3,4,5"], "no column of times"),
        (["timestamp,open,high,low,close", "1,2,3,4,5"], "column 'volume' is missing"),
        (["timestamp,open,open,high,low,close,volume", "1,2,3,4,5,6,7"], "column 'open' stands twice"),
        (["1,2,3,4,5"], "5 columns fit no known form"),
        (["timestamp,open,high,low,close,volume", ROWS[0], "2024"], "cut short"),
        (["timestamp,open,high,low,close,volume", "2024", ROWS[0]], "line 2: 1 fields where 6"),
    ],
    ids=str,
)
def test_a_faulty_table_is_refused_with_its_fault(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(CandleFileInvalid, match=message):
        rows_of(tmp_path, *lines)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"timestamp,open\n" * 99)[:30])
    with pytest.raises(CandleFileInvalid, match="compressed file is cut short"):
        read_rows(tmp_path / "a.csv.gz", "BTC/USDT", HOUR)
