"""What the names of columns mean, in the words of vendors and in other languages."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

PRICES: Final = ("open", "high", "low", "close")

_WORDS: Final = {
    "open": (
        "open o opening open_price opening_price price_open first px_open eroffnung eroffnungskurs erster anfang apertura ouverture ouv "
        "otwarcie abertura eroffn acilis откр открытие 开盘 开盘价 始値"
    ),
    "high": (
        "high h hi high_price price_high highest px_high hoch tageshoch hochst maximo max massimo plus_haut haut najwyzszy maxima hoog "
        "yuksek макс максимум 最高 最高价 高値"
    ),
    "low": (
        "low l lo low_price price_low lowest px_low tief tagestief tiefst minimo min minimum plus_bas bas najnizszy minima laag dusuk "
        "мин минимум 最低 最低价 安値"
    ),
    "close": (
        "close c closing close_price price_close closing_price close_last last last_price px_last px_close settle schluss schlusskurs "
        "letzter zuletzt cierre ultimo dernier cloture clot chiusura zamkniecie fechamento latest trade_price laatste ostatnio kapanis "
        "закр закрытие 收盘 收盘价 終値"
    ),
}
ROLES: Final = {name.replace("_", " "): role for role, names in _WORDS.items() for name in names.split()}

_ADJUSTED_STEMS: Final = ("adj", "ajust", "bereinig", "corrig", "rettific")
_CLOSE_STEMS: Final = ("close", "clos", "last", "price", "kurs", "schluss", "cierre", "cloture", "chiusura", "fechamento", "settle", "c")
_NO_CLOSE: Final = ("open", "high", "low", "o", "h", "l", "volume", "vol", "factor", "ratio", "flag")
OPENING_TIMES: Final = (
    "time period start", "period start", "ts event", "started at", "startedat", "open time", "opentime", "time open", "timeopen", "start",
    "start time", "starttime",
    "begin", "bar start", "kline open time", "open timestamp", "window start", "gmt time", "utc time", "time utc", "date utc",
    "datetime utc", "timestamp utc", "mts", "starttimestamp", "opened at", "candle begin time", "candle date time utc", "startat",
)  # fmt: skip
PLAIN_TIMES: Final = (
    "timestamp", "unix", "unix timestamp", "unix time", "unixtime", "epoch", "datetime", "date time", "date", "time", "ts", "t",
    "local time", "day", "trade date", "tradingday", "trading day", "bar time", "snapped at", "caldt", "dt", "data", "datum", "fecha",
    "giorno", "jour", "dzien", "zeit", "datadate", "timestamps", "timestamp ms", "candletime",
    "tradedate", "дата", "日期", "时间", "日付", "日時", "ticks",
)  # fmt: skip
ZONES_OF_TIMES: Final = ("utc", "gmt", "ms", "us", "ns", "sec", "seconds", "milliseconds", "z")
ZONES_IN_NAMES: Final = (
    "EST", "EDT", "ET", "CST", "CT", "PST", "PT", "CET", "CEST", "EET", "WET", "MSK", "JST", "KST", "HKT", "SGT", "IST", "AEST",
)  # fmt: skip
CLOSING_TIMES: Final = ("close time", "closetime", "time close", "timeclose", "end", "end time", "endtime", "period end", "time period end")
# Taker volume in base units, and the number of trades, in the files and answers of venues; `count` of Binance's own files.
TAKER_VOLUMES: Final = (
    "taker buy volume", "taker buy base volume", "taker buy base asset volume", "taker buy base", "taker base", "taker base vol",
    "taker buy base vol", "taker buy vol",
)  # fmt: skip
TRADE_COUNTS: Final = ("number of trades", "num trades", "trades", "trade count", "tradecount", "trades count", "count")
DATES: Final = (
    "date",
    "dtyyyymmdd",
    "datum",
    "fecha",
    "data",
    "day",
    "yyyymmdd",
    "trade date",
    "date dmy",
    "date mdy",
    "date ymd",
    "tradedate",
    "дата",
    "日期",
    "日付",
)
CLOCKS: Final = ("time", "hour", "zeit", "uhrzeit", "hora", "ora", "heure", "hhmmss", "godzina", "время", "时间", "timestamp")
SYMBOLS: Final = (
    "symbol", "ticker", "tic", "sym", "pair", "instrument", "market", "product id", "currency pair", "contract", "stock code",
    "instrument name", "index symbol", "ric", "ts code", "secid", "coin",
)  # fmt: skip
# They may hold anything, and name a market where their values look like that.
PERHAPS_SYMBOLS: Final = ("name", "s", "asset")
STATED_ZONES: Final = ("timezone", "time zone", "tz", "zone")
STATED_OFFSETS: Final = ("gmtoffset", "gmt offset", "utc offset", "utcoffset")
NAMELESS: Final = ("", "unnamed: 0", "unnamed 0", "index", "level 0", "level 1", "row", "no", "sno", "id", "x1")
_NUMBERED: Final = re.compile(r"^\d+[a-z]?\.\s*")
_EXPLAINED: Final = re.compile(r"\s+(adjusted )?close price adjusted for .*$", re.IGNORECASE)  # Yahoo's page, copied


def words_of(name: str) -> str:
    """A name in plain lower-case words: `<OPEN>`, `1a. open` and `Open` alike, `openTime` and `Open-Time` alike, accents left out."""
    text = unicodedata.normalize("NFKD", _EXPLAINED.sub("", name.strip()))
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).replace("ł", "l").replace("ı", "i")
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _NUMBERED.sub("", text))
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def is_adjusted_close(words: str) -> bool:
    """Whether these are words for a close adjusted for splits and dividends."""
    parts = re.findall(r"adjusted|adj|[a-z0-9]+", words.replace("adjclose", "adj close").replace("closeadj", "close adj"))
    if set(parts) & set(_NO_CLOSE) or not any(part.startswith(_ADJUSTED_STEMS) for part in parts):
        return False
    return len(parts) == 1 or any(part in _CLOSE_STEMS or part.startswith(_CLOSE_STEMS[:-1]) for part in parts)


def is_wanted(levels: tuple[str, ...]) -> bool:
    """Whether a column of these names may be one that candles are made of; the others of a columnar file are not read."""
    words = [words_of(level) for level in levels]
    joined = " ".join(words)
    if not levels or joined in (
        *NAMELESS,
        *OPENING_TIMES,
        *PLAIN_TIMES,
        *CLOSING_TIMES,
        *CLOCKS,
        *DATES,
        *SYMBOLS,
        *PERHAPS_SYMBOLS,
        *STATED_ZONES,
        *STATED_OFFSETS,
        *ROLES,
        *TAKER_VOLUMES,
        *TRADE_COUNTS,
    ):
        return True
    return len(joined) < 80 and any(
        word in ROLES
        or word.startswith(_ADJUSTED_STEMS)
        or word in ("adj", "adjclose", "volume", "vol", "v", "amount", "turnover", "ticks", "market", "marketcap", "tickvol")
        for word in joined.split()
    )
