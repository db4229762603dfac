# ruff: noqa: E501 (a table: one shape a row)
"""Notations of times and numbers, containers, data frames, and files with something wrong in them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tests.feeds.files.shapes.shape import DAYS, HOURS, ROUND_THE_CLOCK, Content, Shape, candles, fields_of, lines, sessions

OHLCV = "{o},{h},{l},{c},{v}"
HEAD = "timestamp,open,high,low,close,volume"
PLAIN = lines(HEAD, "{t:%Y-%m-%dT%H:%M:%SZ}," + OHLCV)
DAILY: dict[str, Any] = {"frame": DAYS, "timeframe": "1d", "symbol": "IBM"}


def text(frame: pd.DataFrame) -> str:
    return str(PLAIN(frame))


def times(row: str, head: str = "Date", **kwargs: Any) -> Content:
    return lines(f"{head},Open,High,Low,Close,Volume", row + "," + OHLCV, **kwargs)


def zipped(**files: Content) -> Content:
    def write(frame: pd.DataFrame) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in files.items():
                made = content(frame)
                archive.writestr(name, made)
        return packed.getvalue()

    return write


def part(first: int, last: int, content: Content = PLAIN) -> Content:
    return lambda frame: content(frame.iloc[first:last])


def tarred(frame: pd.DataFrame) -> bytes:
    packed, made = io.BytesIO(), text(frame).encode()
    with tarfile.open(fileobj=packed, mode="w:gz") as tape:
        entry = tarfile.TarInfo("data/candles.csv")
        entry.size = len(made)
        tape.addfile(entry, io.BytesIO(made))
    return packed.getvalue()


def parquet(change: Callable[[pd.DataFrame], pd.DataFrame], kind: str = "parquet") -> Content:
    def write(frame: pd.DataFrame) -> bytes:
        packed = io.BytesIO()
        changed = change(frame)
        if kind == "parquet":
            changed.to_parquet(packed)
        else:
            changed.to_feather(packed)
        return packed.getvalue()

    return write


def ticker_columns(frame: pd.DataFrame, ticker: str = "IBM") -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples([(name.title(), ticker) for name in frame.columns], names=["Price", "Ticker"])
    return frame.set_axis(columns, axis=1).rename_axis(index="Date")


def two_tickers(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([ticker_columns(frame), ticker_columns(frame * 2, "MSFT")], axis=1)


def by_symbol(frame: pd.DataFrame, *symbols: str) -> pd.DataFrame:
    return pd.concat({symbol: frame * (n + 1) for n, symbol in enumerate(symbols)}, names=["symbol", "timestamp"])


def edit(line: int, old: str, new: str) -> Content:
    def write(frame: pd.DataFrame) -> str:
        made = text(frame).split("\n")
        assert old in made[line - 1], made[line - 1]
        made[line - 1] = made[line - 1].replace(old, new, 1)
        return "\n".join(made)

    return write


def doubled(frame: pd.DataFrame) -> str:
    made = text(frame).rstrip().split("\n")
    return "\n".join([*made[:151], *made[131:]]) + "\n"


def scaled(at: int, factor: float, until: int | None = None) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        rows = slice(at, at + 1 if until is None else until)
        frame.iloc[rows, :4] = frame.iloc[rows, :4] * factor
        return frame

    return change


def frozen(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.iloc[50:80, :4] = frame["close"].iloc[49]
    return frame


def split(content_factor: float = 4.0) -> Content:
    """Raw prices that fall to a quarter in the middle, with the adjusted close beside them."""

    def write(frame: pd.DataFrame) -> str:
        made = ["date,open,high,low,close,volume,Adj Close"]
        for n, c in enumerate(fields_of(frame)):
            f = content_factor if n < len(frame) // 2 else 1.0
            made.append(f"{c['t']:%Y-%m-%d},{c['o'] * f},{c['h'] * f},{c['l'] * f},{c['c'] * f},{c['v'] / f},{c['c']}")
        return "\n".join(made) + "\n"

    return write


def local_frame(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.tz_convert("America/New_York")


AUTUMN = candles(400, start="2023-10-20")
OLD = candles(60, "1d", "1962-01-02", business=True)
DAY_TEXTS = {"DD-MON-YYYY": "{t:%d-%b-%Y}", "named months": "{t:%b %d, %Y}", "months in full": "{t:%d %B %Y}", "weekday before the date": "{t:%a %b %d %Y}", "day, month, year with slashes": "{t:%d/%m/%Y}", "month, day, year with slashes": "{t:%m/%d/%Y}", "day, month and two digits of the year": "{t:%d.%m.%y}", "year first with slashes": "{t:%Y/%m/%d}", "20220103": "{t:%Y%m%d}", "days of a spreadsheet": "{x:.0f}"}  # fmt: skip
HOUR_TEXTS = {"AM and PM": "{t:%Y-%m-%d %I:%M:%S %p}", "AM and PM, month first": "{t:%m/%d/%Y %I:%M %p}", "hour with letters": "{t:%Y-%m-%d %I-%p}", "day first with hours": "{t:%d/%m/%Y %H:%M}", "202403011530": "{t:%Y%m%d%H%M}", "20240301T153000Z": "{t:%Y%m%dT%H%M%SZ}", "hours of a spreadsheet": "{x:.6f}", "seconds with a fraction": "{s}.0", "seconds in exponents": "{s:.9e}", "RFC 2822": '"{t:%a, %d %b %Y %H:%M:%S} GMT"', "UTC behind the time": "{t:%Y-%m-%d %H:%M:%S} UTC", "spaces around": " {t:%Y-%m-%d %H:%M} "}  # fmt: skip

NOTATIONS = [
    *(Shape("Times", f"days: {name}", times(f'"{row}"' if "," in row else row), **DAILY) for name, row in DAY_TEXTS.items()),
    *(Shape("Times", f"hours: {name}", times(row)) for name, row in HOUR_TEXTS.items()),
    *(Shape("Times", f"unix {unit} before 1970", times("{" + unit + "}"), frame=OLD, timeframe="1d", symbol="GE") for unit in ("s", "ms", "us", "ns")),
    Shape("Times", "days from 1962", times("{t:%Y-%m-%d}"), frame=OLD, timeframe="1d", symbol="GE"),
    Shape("Times", "offsets that change with summer time", times("{t:%Y-%m-%d %H:%M:%S%z}", zone="America/New_York")),
    Shape("Times", "local times with --tz, the autumn hour twice", times("{t:%Y-%m-%d %H:%M}", zone="Europe/Berlin"), frame=AUTUMN, options={"tz": "Europe/Berlin"}, told="those of Europe/Berlin"),
    Shape("Times", "local times, newest first", times("{t:%d.%m.%Y %H:%M}", zone="Europe/Berlin", newest_first=True), frame=AUTUMN, options={"tz": "Europe/Berlin"}),
    Shape("Times", "local times without --tz, the autumn hour twice", times("{t:%Y-%m-%d %H:%M}", zone="Europe/Berlin"), frame=AUTUMN, refused="the same time stands twice"),
    Shape("Times", "a fixed offset with --tz", times("{t:%Y-%m-%d %H:%M}", zone="Etc/GMT+5"), options={"tz": "-05:00"}),
    Shape("Times", "day or month first, left open", times("{t:%d/%m/%Y %H:%M}"), frame=candles(24, start="2024-03-04"), refused="may have the day or the month first"),
    Shape("Times", "day or month first, with --date-format", times("{t:%d/%m/%Y %H:%M}"), frame=candles(24, start="2024-03-04"), options={"date_format": "day first"}),
    Shape("Times", "the end of each bar only", times("{end}", head="close_time")),
    Shape("Times", "a zone that several places share", times("{t:%Y-%m-%d %H:%M:%S} IST"), refused="'IST' is not unique"),
    Shape("Times", "hours as numbers beside the date", lines("date,hour,open,high,low,close,volume", "{t:%Y-%m-%d},{t.hour},{o},{h},{l},{c},{v}")),
    Shape("Times", "February 30", times("{t:%Y}-02-30"), **DAILY, refused="cannot be read as a time"),
    Shape("Numbers", "decimal commas", lines("Date;Time;Open;High;Low;Close;Volume", "{t:%d.%m.%Y};{t:%H:%M};{o};{h};{l};{c};{v}", comma=True), told="decimal commas"),
    Shape("Numbers", "decimal commas in quotes", lines("Date,Open,High,Low,Close,Volume", '{t:%Y-%m-%d},"{o}","{h}","{l}","{c}","{v}"', comma=True), **DAILY),
    Shape("Numbers", "thousands in quotes", lines("Date,Open,High,Low,Close,Volume", '{t:%Y-%m-%d},"{o:,}","{h:,}","{l:,}","{c:,}","{v:,}"'), frame=scaled(0, 1024.0, 60)(DAYS), timeframe="1d", symbol="IBM"),
    Shape("Numbers", "thousands or decimals, left open", lambda f: "Date;Open;High;Low;Close;Volume\n2022-01-03;1,234;1,235;1,233;1,234;7\n2022-01-04;1,234;1,236;1,233;1,235;7\n", frame=DAYS, timeframe="1d", refused="may have a decimal comma or a comma of thousands"),
    Shape("Numbers", "exponents", lines(HEAD, "{s},{o:.6e},{h:.6e},{l:.6e},{c:.6e},{v:.6e}")),
    Shape("Numbers", "currency signs", lines(HEAD, "{s},${o},${h},${l},${c},{v}")),
    Shape("Numbers", "a high one float step under its close", lambda f: f"{HEAD}\n2022-01-03,1,1.2999999999999998,1,1.3,5\n2022-01-04,1.3,1.4,1.3,1.3,5\n2022-01-05,1.3,1.4,1.3,1.3,5\n", timeframe="1d", frame=DAYS.iloc[:3], expected=lambda f: pd.DataFrame({"open": [1, 1.3, 1.3], "high": [1.2999999999999998, 1.4, 1.4], "low": [1, 1.3, 1.3], "close": [1.3] * 3, "volume": [5.0] * 3}, index=f.index)),
    Shape("Tables", "semicolons", lambda f: text(f).replace(",", ";")),
    Shape("Tables", "bars between columns", lambda f: text(f).replace(",", "|")),
    Shape("Tables", "columns under each other", lines("date time open high low close volume", "{t:%Y-%m-%d}   {t:%H:%M}   {o}  {h}   {l}   {c}  {v}")),
    Shape("Tables", "Windows-1252 in the header", lambda f: str(lines("Datum;Eröffnung;Hoch;Tief;Schluss;Volumen", "{t:%d.%m.%Y};{o};{h};{l};{c};{v}", comma=True)(f)).encode("cp1252"), told="CP1252", **DAILY),
    Shape("Tables", "row numbers in a nameless column", lambda f: pd.DataFrame({"date": f.index.strftime("%Y-%m-%d %H:%M:%S"), **f}).reset_index(drop=True).pipe(lambda x: x.assign(**{c: f[c].to_numpy() for c in f})).to_csv()),
    Shape("Tables", "times in a nameless column", lambda f: f.rename_axis(None).to_csv()),
    Shape("Tables", "a comma behind each row", lambda f: text(f).replace("\n", ",\n")),
    Shape("Tables", "a comma behind each row but the header", lambda f: HEAD + "\n" + text(f).split("\n", 1)[1].replace("\n", ",\n")),
    Shape("Tables", "row names that the header leaves out", lambda f: "\n".join([HEAD, *(f"{n},{line}" for n, line in enumerate(text(f).split("\n")[1:-1]))])),
    Shape("Tables", "a footer", lambda f: text(f) + "Data provided by Example Ltd\n", told="footer"),
    Shape("Tables", "a total below", lambda f: text(f) + "Total,,,,,9999\n", told="footer"),
    Shape("Tables", "the header repeated at a seam", lambda f: text(f.iloc[:100]) + text(f.iloc[100:]), told="header repeated"),
    Shape("Tables", "a comment above", lambda f: "# exported today\n\n" + text(f)),
    Shape("Tables", "the header behind a mark of comments", lambda f: "#" + text(f)),
    Shape("Tables", "identical rows at a seam", doubled, told="20 rows repeated identically, read once"),
    Shape("Tables", "a time twice with other prices", lambda f: text(f).replace("\n", "\n2024-03-01T00:00:00Z,1,1,1,1,1\n", 1), refused="the same time stands twice"),
    Shape("Tables", "bars without any price", lambda f: text(f).replace("\n", "\n2024-02-29T23:00:00Z,,,,,\n", 1), told="1 row without any price left out"),
    Shape("Tables", "newest first", lambda f: "\n".join([HEAD, *reversed(text(f).strip().split("\n")[1:])])),
    Shape("Tables", "several symbols, one of them asked for", lambda f: by_symbol(f, "BTCUSDT", "ETHUSDT").to_csv(), told="rows of BTCUSDT"),
    Shape("Tables", "another symbol", lambda f: by_symbol(f, "ETH-USD").to_csv(), refused="the file is of ETH-USD"),
    Shape("Tables", "columns in other words", lines("Time;First;Highest;Lowest;Last;Qty", "{s};{o};{h};{l};{c};{v}")),
    Shape("Tables", "two columns of one name", lines("timestamp,open,open,high,low,close,volume", "{s},{o},{c},{h},{l},{c},{v}"), refused="'open' stands twice"),
    Shape("Tables", "no volume", lines("timestamp,open,high,low,close,spread", "{s},{o},{h},{l},{c},1"), refused="column 'volume' is missing"),
    Shape("Containers", "gzip", lambda f: gzip.compress(text(f).encode()), file="candles.csv.gz"),
    Shape("Containers", "bzip2", lambda f: bz2.compress(text(f).encode()), file="candles.csv.bz2"),
    Shape("Containers", "xz", lambda f: lzma.compress(text(f).encode()), file="candles.csv.xz"),
    Shape("Containers", "tar.gz", tarred, file="candles.tar.gz"),
    Shape("Containers", "zip", zipped(**{"candles.csv": PLAIN}), file="candles.zip"),
    Shape("Containers", "zip of several months", zipped(**{"BTCUSDT-1h-2024-04.csv": part(200, 320), "BTCUSDT-1h-2024-03.csv": part(0, 200)}), file="months.zip", told="2 files of the archive"),
    Shape("Containers", "zip with folders and a description", zipped(**{"data/": lambda f: "", "data/a/1.csv": part(0, 160), "data/b/2.csv": part(150, 320), "__MACOSX/data/._1.csv": lambda f: "x", "readme.txt": lambda f: "hello"}), file="folders.zip", told="repeated identically"),
    Shape("Containers", "zip of two coins, one asked for", zipped(**{"BTCUSDT-1h.csv": PLAIN, "ETHUSDT-1h.csv": lambda f: text(f * 2)}), file="coins.zip"),
    Shape("Containers", "zip of two coins, neither asked for", zipped(**{"XRPUSDT-1h.csv": PLAIN, "ETHUSDT-1h.csv": lambda f: text(f * 2)}), file="coins.zip", refused="the archive holds ETH/USDT, XRP/USDT, not BTC/USDT"),
    Shape("Containers", "zip whose files disagree", zipped(**{"a.csv": PLAIN, "b.csv": lambda f: text(f * 2)}), file="two.zip", refused="files of the archive disagree"),
    Shape("Containers", "zip of gzipped months", zipped(**{"1.csv.gz": lambda f: gzip.compress(text(f.iloc[:100]).encode()), "2.csv.gz": lambda f: gzip.compress(text(f.iloc[100:]).encode())}), file="months.zip"),
    Shape("Containers", "spreadsheet", zipped(**{"[Content_Types].xml": lambda f: "<xml/>", "xl/workbook.xml": lambda f: "<xml/>"}), file="candles.xlsx", refused="a spreadsheet; save the sheet as CSV"),
    Shape("Containers", "pickle", lambda f: b"\x80\x04\x95" + b"0" * 50, file="frame.pkl", refused="a pickle"),
    Shape("Containers", "a web page instead of the file", lambda f: "<!DOCTYPE html><html><body>404</body></html>", refused="a web page"),
    Shape("Containers", "an answer that says the limit is reached", lambda f: json.dumps({"Note": "Thank you for using us. Our standard limit is 25 requests."}), file="a.json", refused="no table of candles"),
    Shape("Data frames", "Parquet, own columns", parquet(lambda f: f)),
    Shape("Data frames", "Parquet, local zone", parquet(local_frame), file="a.parquet"),
    Shape("Data frames", "Parquet, days in a local zone", parquet(lambda f: f.tz_localize(None).tz_localize("America/New_York")), file="a.parquet", **DAILY),
    Shape("Data frames", "Parquet of 32-bit floats", parquet(lambda f: f.astype("float32")), file="a.parquet", expected=lambda f: f.astype("float32").astype("float64")),
    Shape("Data frames", "yfinance, Parquet with two levels", parquet(ticker_columns), file="a.parquet", **DAILY),
    Shape("Data frames", "yfinance, CSV with three lines of header", lambda f: ticker_columns(f.tz_localize(None)).to_csv(), **DAILY),
    Shape("Data frames", "yfinance, one of two tickers", parquet(two_tickers), file="a.parquet", **DAILY),
    Shape("Data frames", "yfinance, one of two tickers in CSV, ticker above", lambda f: two_tickers(f).swaplevel(axis=1).to_csv(), **DAILY),
    Shape("Data frames", "yfinance, other ticker", parquet(ticker_columns), frame=DAYS, timeframe="1d", symbol="MSFT", file="a.parquet", refused="its prices are of IBM"),
    Shape("Data frames", "yfinance, coins with volume in dollars", lambda f: ticker_columns((f.assign(volume=f["volume"] * (f["high"] + f["low"] + f["close"]) / 3)).tz_localize(None), "BTC-USD").to_csv(), frame=ROUND_THE_CLOCK, timeframe="1d", symbol="BTC/USD", exact=False, told="is money"),
    Shape("Data frames", "Alpaca, index of symbol and time", parquet(lambda f: by_symbol(f, "IBM")), file="a.parquet", symbol="IBM"),
    Shape("Data frames", "Alpaca, two symbols", parquet(lambda f: by_symbol(f, "IBM", "MSFT")), file="a.parquet", symbol="IBM", told="rows of IBM"),
    Shape("Data frames", "Alpaca, CSV", lambda f: by_symbol(f, "IBM").to_csv(), symbol="IBM"),
    Shape("Data frames", "names with the ticker behind", lambda f: f.rename(columns=lambda c: f"{c.title()}_IBM").to_csv(), symbol="IBM"),
    Shape("Data frames", "freqtrade, feather", parquet(lambda f: f.reset_index(names="date"), "feather"), file="BTC_USDT-1h.feather"),
    Shape("Data frames", "JSON of records", lambda f: f.tz_localize(None).reset_index().to_json(orient="records", double_precision=10, date_format="iso"), file="a.json"),
    Shape("Data frames", "JSON of columns", lambda f: f.to_json(orient="columns", double_precision=10, date_format="iso"), file="a.json"),
    Shape("Data frames", "JSON, split", lambda f: f.to_json(orient="split", double_precision=10, date_format="iso"), file="a.json"),
    Shape("Data frames", "JSON lines", lambda f: f.tz_localize(None).reset_index().to_json(orient="records", lines=True, double_precision=10, date_format="iso"), file="a.jsonl"),
    Shape("Grids", "hours of a session, from 09:30", PLAIN, frame=sessions(), symbol="SPY", told="a grid of their own"),
    Shape("Grids", "four hours from 09:30 over the change of clocks", PLAIN, frame=sessions(minutes=240, bars=2), timeframe="4h", symbol="SPY"),
    Shape("Grids", "days from 17:00 in New York", PLAIN, frame=sessions("2024-03-03", 30, bars=1, clock="17:00"), timeframe="1d", symbol="EUR/USD"),
    Shape("Grids", "seven minutes from each midnight", PLAIN, frame=candles(412, "7m").pipe(lambda f: f.set_axis(pd.DatetimeIndex([d + pd.Timedelta(minutes=7 * n) for d in pd.date_range("2024-03-01", periods=2, tz="UTC") for n in range(206)]).as_unit("ns").rename("timestamp"))), timeframe="7m"),
    Shape("Grids", "seven minutes without end", PLAIN, frame=candles(500, "7m"), timeframe="7m"),
    Shape("Grids", "weeks from Sunday", PLAIN, frame=candles(30, "7d", "2022-01-02"), timeframe="1w", symbol="IBM"),
    Shape("Grids", "another timeframe", PLAIN, frame=candles(300, "15m"), refused="rows are 15m apart, not 1h"),
    Shape("Grids", "a bar off the grid", edit(9, "T07:00", "T07:17"), refused="does not open on the 1h grid"),
    Shape("Grids", "rows in disorder", lambda f: "\n".join([HEAD, *np.random.default_rng(1).permutation(text(f).strip().split("\n")[1:]).tolist()]), refused="sort the rows by time"),
    Shape("Prices", "adjusted close over a split", split(), told="prices are adjusted", exact=False, **DAILY),
    Shape("Prices", "adjusted close with a hole", lambda f: str(split()(f)).replace(f",{f['close'].iloc[20]}\n", ",\n"), refused="the adjusted close is missing (1 such rows)", **DAILY),
    Shape("Prices", "a bar a hundred times its neighbours", PLAIN, frame=scaled(40, 100.0)(HOURS), told="1 bar far off both neighbours"),
    Shape("Prices", "a stretch that stands still", PLAIN, frame=frozen(HOURS), told="stand still at"),
    Shape("Prices", "a split that is not adjusted for", PLAIN, frame=scaled(0, 4.0, 150)(HOURS), told="4 times lower"),
    Shape("Prices", "high below low", edit(9, ",", ",0,"), refused="fields where 6 are expected"),
    Shape("Prices", "a price of zero", lambda f: text(f) + "2024-03-14T08:00:00Z,1,1,0,1,1\n", refused="low is 0, prices are above zero"),
    Shape("Prices", "a word for a price", lambda f: text(f) + "2024-03-14T08:00:00Z,1,1,1,halted,1\n", refused="close is 'halted', not a number"),
    Shape("Prices", "cut short", lambda f: text(f)[:-12], refused="cut short"),
]  # fmt: skip
