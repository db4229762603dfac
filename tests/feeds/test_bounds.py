"""Files that hold far more than they weigh are refused before they are unpacked, in one line that names the bound."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds import bounds
from forwardtrader.feeds.factors.files import read_table
from forwardtrader.feeds.files.formats import read_rows
from tests import ROOT

HOUR = Timeframe.parse("1h")
HEAD = "timestamp,open,high,low,close,volume"


def candles(rows: int) -> dict[str, object]:
    times = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC")
    return {"timestamp": times, **dict.fromkeys(HEAD.split(",")[1:], np.ones(rows))}


def gzip_of_zeros(path: Path) -> None:
    path.write_bytes(gzip.compress(f"{HEAD}\n".encode() + b"0" * 10_000_000, 1) + gzip.compress(b"0" * 10_000_000, 1) * 60)


def zip_of_empty_lines(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"\n" * 21_000_000)


def one_row_of_commas(path: Path) -> None:
    path.write_bytes(gzip.compress(b"," * 10_000_000, 1))


def repeated_value(path: Path) -> None:
    pq.write_table(pa.table({"timestamp": np.zeros(21_000_000, np.int8)}), path)


def long_text_repeated(path: Path) -> None:
    times = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["9" * 100_000]))
    pq.write_table(pa.table({"timestamp": times, **{name: np.ones(100_000) for name in HEAD.split(",")[1:]}}), path)


def many_columns(path: Path) -> None:
    pq.write_table(pa.table({**candles(3), **{f"x{n}": np.ones(3) for n in range(2000)}}), path)


def feather_of_zeros(path: Path) -> None:
    pyarrow.feather.write_feather(pa.table({"timestamp": np.zeros(21_000_000, np.int8)}), path, compression="zstd")


def feather_of_text(path: Path) -> None:
    pyarrow.feather.write_feather(pa.table({**candles(3), "date": ["a"] * 3}), path)


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (gzip_of_zeros, "a.csv.gz", r"there are more than 512 MB in it; split it, or set feeds.max_file_mb higher"),
        (zip_of_empty_lines, "a.zip", "more than 20,000,000 lines; split it"),
        (one_row_of_commas, "a.csv.gz", "more than 1,000 columns"),
        (repeated_value, "a.parquet", "it has 21,000,000 rows, more than 20,000,000"),
        (many_columns, "a.parquet", "it has 2,006 columns, more than 1,000"),
        (feather_of_zeros, "a.feather", "it has 21,000,000 rows"),
        (feather_of_text, "a.feather", "column 'date' is text"),
    ],
)
def test_a_file_beyond_a_bound_is_one_line(tmp_path: Path, make: Callable[[Path], None], name: str, reason: str) -> None:
    make(tmp_path / name)
    with pytest.raises(CandleFileInvalid, match=reason) as refused:
        read_rows(tmp_path / name, "BTC/USDT", HOUR)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say how much memory a process took")
@pytest.mark.parametrize(("make", "name"), [(gzip_of_zeros, "a.csv.gz"), (long_text_repeated, "a.parquet")])
def test_a_file_of_two_megabytes_takes_no_gigabytes(tmp_path: Path, make: Callable[[Path], None], name: str) -> None:
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 30_000_000
    program = (
        "import re, sys; from pathlib import Path; from forwardtrader.core.errors import CandleFileInvalid; "
        "from forwardtrader.core.types import Timeframe; from forwardtrader.feeds.files.formats import read_rows\n"
        "try: read_rows(Path(sys.argv[1]), 'BTC/USDT', Timeframe.parse('1h'))\n"
        "except CandleFileInvalid: print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / name)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 1_500_000, "kB"


def test_the_bound_can_be_raised_and_lowered(tmp_path: Path) -> None:
    lines = [f"{at:%Y-%m-%dT%H:%M:%SZ},1,2,0.5,1,3" for at in pd.date_range("2024-01-01", periods=40_000, freq="h", tz="UTC")]
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEAD, *lines]).encode()))
    with pytest.raises(CandleFileInvalid, match="more than 1 MB in it"):
        read_rows(path, "BTC/USDT", HOUR, 1)
    assert len(read_rows(path, "BTC/USDT", HOUR, 2).frame) == 40_000


def test_columns_that_candles_do_not_need_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**candles(1000), "wide": ["x" * 5000] * 1000}), path, use_dictionary=False)
    assert len(read_rows(path, "BTC/USDT", HOUR, 1).frame) == 1000


def test_times_written_as_text_are_read_from_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({**candles(5), "timestamp": [f"2024-01-01 0{n}:00" for n in range(5)]}), path)
    assert read_rows(path, "BTC/USDT", HOUR).frame.index[4] == pd.Timestamp("2024-01-01T04:00Z")


def test_an_index_that_pandas_kept_is_the_column_of_times(tmp_path: Path) -> None:
    frame = pd.DataFrame(candles(5)).set_index("timestamp").rename_axis(None)
    frame.to_parquet(tmp_path / "a.parquet")
    assert len(read_rows(tmp_path / "a.parquet", "BTC/USDT", HOUR).frame) == 5


def test_a_factor_file_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.feeds.factors.files.USUAL_MB", 1)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"timestamp,value\n" + b"0" * 2_000_000))
    with pytest.raises(CandleFileInvalid, match="more than 1 MB in it"):
        read_table(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"Timestamp,value\n2024-01-01,1\n"))
    assert read_table(tmp_path / "b.csv.gz")["value"].tolist() == [1]


def test_a_lying_archive_is_read_up_to_the_bound_only(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 50_000_000)
    path = tmp_path / "a.zip"
    path.write_bytes(packed.getvalue().replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises((CandleFileInvalid, zipfile.BadZipFile)):
        bounds.unpacked(path, 1)
