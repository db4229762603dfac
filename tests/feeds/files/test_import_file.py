"""Every known form of candle file reads as the same candles; every faulty one is refused in one line."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.files import import_file as file_import
from forwardtrader.feeds.files.import_file import import_file, read_candles
from tests.feeds.made_candles import DAY, HOUR, START, made
from tests.real_data import real_candles

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
FRAME = made(48)
HEADER = "timestamp,open,high,low,close,volume"
Writer = Callable[[pd.DataFrame, Path], None]


def read(path: Path, timeframe: Timeframe = HOUR, symbol: str = "BTC/USDT") -> pd.DataFrame:
    return read_candles(path, symbol, timeframe, CLOCK)


def rows(frame: pd.DataFrame, times: list[object]) -> list[str]:
    return [",".join([str(time), *map(repr, map(float, row))]) for time, row in zip(times, frame.to_numpy(), strict=True)]


def zulu(frame: pd.DataFrame) -> list[object]:
    return [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in frame.index]


def own_text(frame: pd.DataFrame) -> str:
    return "\n".join([HEADER, *rows(frame, zulu(frame))]) + "\n"


def own(frame: pd.DataFrame, path: Path) -> None:
    path.write_text(own_text(frame))


def gzipped(frame: pd.DataFrame, path: Path) -> None:
    path.write_bytes(gzip.compress(own_text(frame).encode()))


def zipped(frame: pd.DataFrame, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1h.csv", own_text(frame))


def binance(frame: pd.DataFrame, path: Path, units: tuple[int, ...] = (1000,)) -> None:
    lines = []
    for i, (time, row) in enumerate(zip(frame.index, frame.to_numpy(), strict=True)):
        unit = units[i * len(units) // len(frame)]
        opened = int(time.timestamp()) * unit
        lines.append(",".join(map(str, [opened, *map(float, row), opened + 3600 * unit - 1, 1.0, 7, 0.5, 0.5, 0])))
    path.write_text("\n".join(lines))


def binance_micro(frame: pd.DataFrame, path: Path) -> None:
    binance(frame, path, (1_000_000,))


def binance_both(frame: pd.DataFrame, path: Path) -> None:
    binance(frame, path, (1000, 1_000_000))


def binance_with_header(frame: pd.DataFrame, path: Path) -> None:
    binance(frame, path)
    head = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
    path.write_text(head + path.read_text())


def kraken(frame: pd.DataFrame, path: Path) -> None:
    seconds = [int(time.timestamp()) for time in frame.index]
    path.write_text("\n".join(f"{line},12" for line in rows(frame, list(seconds))))


def crypto_data_download(frame: pd.DataFrame, path: Path) -> None:
    lines = ["https://www.CryptoDataDownload.com", "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount"]
    for time, row in reversed(list(zip(frame.index, frame.to_numpy(), strict=True))):
        o, h, low, c, v = map(float, row)
        lines.append(f"{int(time.timestamp()) * 1000},{time:%Y-%m-%d %H:%M:%S},BTC/USDT,{o},{h},{low},{c},{v},{v * c},99")
    path.write_text("\n".join(lines))


def crypto_data_download_old(frame: pd.DataFrame, path: Path) -> None:
    lines = ["https://www.CryptoDataDownload.com", "Date,Symbol,Open,High,Low,Close,Volume USDT,Volume BTC"]
    for time, row in reversed(list(zip(frame.index, frame.to_numpy(), strict=True))):
        o, h, low, c, v = map(float, row)
        lines.append(f"{time:%Y-%m-%d %I-%p},BTCUSDT,{o},{h},{low},{c},{v * c},{v}")
    path.write_text("\n".join(lines))


def semicolons(frame: pd.DataFrame, path: Path) -> None:
    own(frame, path)
    path.write_text(path.read_text().replace(",", ";"))


def date_and_time(frame: pd.DataFrame, path: Path) -> None:
    times: list[object] = [f"{time:%Y-%m-%d},{time:%H:%M:%S}" for time in frame.index]
    path.write_text("\n".join(["Date,Time,Open,High,Low,Close,Volume", *rows(frame, times)]))


def with_offset(frame: pd.DataFrame, path: Path) -> None:
    times: list[object] = [f"{time.tz_convert('+02:00'):%Y-%m-%d %H:%M:%S}+02:00" for time in frame.index]
    path.write_text("\n".join([HEADER, *rows(frame, times)]))


def unix_seconds(frame: pd.DataFrame, path: Path) -> None:
    times: list[object] = [f"{time.timestamp():.1f}" for time in frame.index]
    path.write_text("\n".join(["Time,Open,High,Low,Close,Vol", *rows(frame, times)]))


def blank_lines(frame: pd.DataFrame, path: Path) -> None:
    path.write_text("\r\n" + own_text(frame).replace("\n", "\r\n\r\n"), newline="")


def byte_order_mark(frame: pd.DataFrame, path: Path) -> None:
    path.write_text(own_text(frame), encoding="utf-8-sig")


def nameless_index(frame: pd.DataFrame, path: Path) -> None:
    path.write_text(own_text(frame).replace("timestamp", "", 1))


def parquet_index(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path)


def feather(frame: pd.DataFrame, path: Path) -> None:
    frame.reset_index().rename(columns={"timestamp": "date"}).to_feather(path)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (own, "own.csv"),
        (gzipped, "own.csv.gz"),
        (zipped, "BTCUSDT-1h.zip"),
        (binance, "BTCUSDT-1h-2024-01.csv"),
        (binance_micro, "BTCUSDT-1h-2025-01.csv"),
        (binance_both, "joined.csv"),
        (binance_with_header, "futures.csv"),
        (kraken, "XBTUSD_60.csv"),
        (crypto_data_download, "Binance_BTCUSDT_1h.csv"),
        (crypto_data_download_old, "Binance_BTCUSDT_1h_old.csv"),
        (semicolons, "semicolons.csv"),
        (date_and_time, "metatrader.csv"),
        (with_offset, "berlin.csv"),
        (unix_seconds, "unix.csv"),
        (blank_lines, "windows.csv"),
        (byte_order_mark, "bom.csv"),
        (nameless_index, "frame.csv"),
        (parquet_index, "own.parquet"),
        (feather, "BTC_USDT-1h.feather"),
    ],
)
def test_each_form_reads_as_the_same_candles(tmp_path: Path, write: Writer, name: str) -> None:
    write(FRAME, tmp_path / name)
    pd.testing.assert_frame_equal(read(tmp_path / name), FRAME, check_freq=False, check_exact=True)


def test_yahoo_prices_are_adjusted_and_stay_consistent(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text("Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,100,110,90,105,52.5,1000\n2024-01-03,106,111,101,108,108,900\n")
    frame = read(path, DAY, "SPY")
    assert frame.iloc[0].tolist() == [50.0, 55.0, 45.0, 52.5, 2000.0]
    assert frame.iloc[1].tolist() == [106.0, 111.0, 101.0, 108.0, 900.0]


def test_daily_bars_keep_their_date_through_summer_time(tmp_path: Path) -> None:
    path = tmp_path / "AAPL.csv"
    days = ["2024-03-07 00:00:00-05:00", "2024-03-08 00:00:00-05:00", "2024-03-11 00:00:00-04:00"]
    path.write_text("\n".join([HEADER, *(f"{day},10,11,9,{close},5" for day, close in zip(days, (10, 10.5, 10.2), strict=True))]))
    assert list(read(path, DAY, "AAPL").index.strftime("%m-%d %H:%M")) == ["03-07 00:00", "03-08 00:00", "03-11 00:00"]
    stamped = made(5, timeframe=DAY)
    stamped.index = pd.DatetimeIndex([f"2024-03-{d:02}" for d in (6, 7, 8, 11, 12)]).tz_localize("America/New_York")
    stamped.to_parquet(tmp_path / "AAPL.parquet")
    assert list(read(tmp_path / "AAPL.parquet", DAY, "AAPL").index.hour) == [0] * 5


def test_the_three_heading_lines_of_yfinance_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(
        "Price,Close,High,Low,Open,Volume\nTicker,SPY,SPY,SPY,SPY,SPY\nDate,,,,,\n2024-01-02,105,110,90,100,7\n2024-01-03,106,110,90,100,7\n"
    )
    assert read(path, DAY, "SPY")["close"].tolist() == [105.0, 106.0]


def edited(line: int, old: str, new: str) -> str:
    lines = own_text(FRAME).splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines)


def swapped() -> str:
    lines = own_text(FRAME).splitlines()
    lines[9], lines[10] = lines[10], lines[9]
    return "\n".join(lines)


TEXT = own_text(FRAME)
LINES = TEXT.splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the file is empty; get it again"),
        ("\n \n", r"the file is empty"),
        (HEADER + "\n", r"no rows"),
        ("hello\n", r"needed|missing|no column of times"),
        (TEXT.replace("volume", "size", 1), r"column 'volume' is missing; found are timestamp, open"),
        (TEXT.replace("timestamp", "moment", 1), r"no column of times; name one of them timestamp"),
        (TEXT.replace("low", "bottom", 1), r"column 'low' is missing"),
        (TEXT[:-30], r"line 49: \d fields where 6 are expected; the file is cut short"),
        ("\n".join([*LINES[:6], LINES[6] + ",1", *LINES[7:]]), r"line 7: 7 fields where 6 are expected; correct or remove the row"),
        (edited(12, "2024-01-01T10", "2024-01-01T09"), r"line 12 \(2024-01-01 09:00\): the same time stands twice"),
        (swapped(), r"line 11 \(2024-01-01 08:00\): earlier than the row before it .*sort the rows"),
        (edited(5, "T03:00:00Z", "T03:17:00Z"), r"line 5 \(2024-01-01 03:17\): the bar does not open on the 1h grid"),
        (edited(5, "T03:00:00Z", "T03:00:00"), r"line 5: the time zone changes from Z to none"),
        (edited(5, "2024-01-01T03", "9024-01-01T03"), r"line 5: '9024-01-01T03:00:00Z' cannot be read as a time"),
        (TEXT.replace("volume", "close", 1), r"column 'close' stands twice"),
        (edited(5, "2024-01-01T03", "2024-13-01T03"), r"line 5: '2024-13-01T03:00:00Z' cannot be read as a time; write times as"),
        (
            "\n".join([HEADER, *(f"{d}/01/2024 00:00,1,2,1,1,{d}" for d in range(10, 19))]),
            r"rows are 1d apart, not 1h; name the right one with --timeframe",
        ),
        ("\n".join([HEADER, *(f"2024-01-01T{h:02}:00:00Z,7,7,7,7,1" for h in range(24))]), r"all 24 bars have the price 7"),
        ("\n".join(f"{1704067200 + 3600 * h},1,2,1" for h in range(5)), r"no table of candles in it; needed is a header timestamp,open"),
    ],
)
def test_a_faulty_text_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(CandleFileInvalid, match=message) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (4, "abc", "close is 'abc', not a number"),
        (4, "", "close is missing"),
        (1, "0", "open is 0, prices are above zero"),
        (3, "-5", "low is -5"),
        (2, "1", "high 1 is below low"),
    ],
)
def test_a_faulty_price_is_refused_with_its_line(tmp_path: Path, column: int, value: str, message: str) -> None:
    lines = list(LINES)
    fields = lines[20].split(",")
    fields[column] = value
    lines[20] = ",".join(fields)
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(CandleFileInvalid, match=rf"line 21 \(2024-01-01 19:00\): {message}"):
        read(path)


def test_the_line_of_a_fault_is_right_in_a_file_with_the_newest_row_first(tmp_path: Path) -> None:
    path = tmp_path / "cdd.csv"
    crypto_data_download(FRAME, path)
    lines = path.read_text().splitlines()
    lines[9] = lines[9].replace("BTC/USDT,", "BTC/USDT,-", 1)
    path.write_text("\n".join(lines))
    with pytest.raises(CandleFileInvalid, match=r"line 10 .*open is -"):
        read(path)


def test_missing_and_cut_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CandleFileInvalid, match="no such file; check the name"):
        read(tmp_path / "nowhere.csv")
    for write, name in ((gzipped, "a.csv.gz"), (zipped, "a.zip"), (parquet_index, "a.parquet"), (feather, "a.feather")):
        path = tmp_path / name
        write(FRAME, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(CandleFileInvalid, match="cut short"):
            read(path)
    binary = tmp_path / "noise.csv"
    binary.write_bytes(bytes(np.random.default_rng(0).integers(128, 256, 500, dtype=np.uint8)))
    with pytest.raises(CandleFileInvalid, match="not a text file"):
        read(binary)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_file_however_mangled_ends_in_anything_but_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    forms: list[tuple[Writer, str]] = [
        (own, "a.csv"), (gzipped, "a.csv.gz"), (zipped, "a.zip"), (binance, "b.csv"), (crypto_data_download, "c.csv"),
        (with_offset, "o.csv"), (unix_seconds, "u.csv"), (parquet_index, "p.parquet"), (feather, "f.feather"),
    ]  # fmt: skip
    write, name = data.draw(st.sampled_from(forms))
    path = tmp_path_factory.getbasetemp() / f"mangled-{name}"
    write(FRAME[:12], path)
    content = path.read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        place, length = data.draw(st.integers(0, len(content))), data.draw(st.sampled_from([0, 0, 1, 9, 60]))
        new = data.draw(st.lists(st.sampled_from(list(b',;-+.:"\n09eTZNaf#/ \x00\xff')), max_size=4))
        content = content[:place] + bytes(new) + content[place + length :]
    path.write_bytes(content)
    try:
        frame = read(path)
    except CandleFileInvalid as refused:
        assert "\n" not in str(refused)
    else:
        assert len(frame)


def test_gaps_are_kept_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gapped.csv"
    own(FRAME.drop(FRAME.index[[5, 6, 20]]), path)
    arguments = [str(path), "--symbol", "BTC/USDT", "--timeframe", "1h", "--exchange", "binance", "--path", str(tmp_path / "store")]
    assert file_import.main(arguments) == 0
    assert "45 bars, 2024-01-01 00:00 .. 2024-01-02 23:00, 2 gaps, 3 bars missing" in capsys.readouterr().out


def test_the_command_refuses_with_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(TEXT[:-30])
    assert file_import.main([str(path), "--path", str(tmp_path / "store")]) == 2
    message = capsys.readouterr()
    assert message.err.count("\n") == 1
    assert "cut short" in message.err
    assert file_import.main([str(path), "--timeframe", "7x", "--path", str(tmp_path / "store")]) == 2


def test_importing_twice_adds_nothing_and_a_different_file_is_refused(tmp_path: Path) -> None:
    store, key = CandleStore(tmp_path / "store"), CandleKey("file", "BTC/USDT", HOUR)
    own(FRAME, tmp_path / "a.csv")
    assert import_file(tmp_path / "a.csv", key, store, CLOCK)[0] == 48
    assert import_file(tmp_path / "a.csv", key, store, CLOCK)[0] == 0
    own(made(48, seed=5), tmp_path / "b.csv")
    with pytest.raises(CandleFileInvalid, match=r"differ from those stored .*another --exchange name"):
        import_file(tmp_path / "b.csv", key, store, CLOCK)


def test_the_running_bar_of_a_file_is_left_out(tmp_path: Path) -> None:
    own(FRAME, tmp_path / "a.csv")
    assert len(read_candles(tmp_path / "a.csv", "BTC/USDT", HOUR, FixedClock(START + pd.Timedelta(hours=47, minutes=30)))) == 47


def test_real_candles_are_read_as_they_are() -> None:
    hourly = read_candles(real_candles("binance_spot_BTCUSDT_1h.csv.gz"), "BTC/USDT", HOUR, SystemClock())
    assert (len(hourly), list(hourly.columns)) == (58380, list(OHLCV))
    daily = read_candles(real_candles("equity_SPY_1d.csv.gz"), "SPY", DAY, SystemClock())
    assert len(daily) == 3949
