# ruff: noqa: E501 (a table: one shape a row)
"""Files as venues, brokers and charting programs write them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from tests.feeds.files.shapes.shape import DAYS, ROUND_THE_CLOCK, Shape, candles, fields_of, lines, with_volume

OHLCV = "{o},{h},{l},{c},{v}"
_WHOLE = with_volume(lambda volume: np.floor(volume))
_TURNOVER: dict[str, Any] = {"exact": False, "told": "is money"}


def rows(row: str) -> Any:
    """A JSON list of lists, made by a template of one row."""
    return lambda frame: "[" + ",".join(row.format(**cells) for cells in fields_of(frame)) + "]"


def objects(row: str, before: str = "", after: str = "") -> Any:
    """A JSON list of objects, made by a template without braces."""
    return lambda frame: before + "[" + ",".join("{" + row.format(**cells) + "}" for cells in fields_of(frame)) + "]" + after


def alpha_vantage(frame: pd.DataFrame) -> str:
    keys = ("1. open", "2. high", "3. low", "4. close", "5. volume")
    bars = {f"{c['t']:%Y-%m-%d}": dict(zip(keys, [str(c[k]) for k in "ohlcv"], strict=True)) for c in reversed(fields_of(frame))}
    return json.dumps({"Meta Data": {"1. Information": "Daily", "2. Symbol": "IBM"}, "Time Series (Daily)": bars})


def yahoo_chart(frame: pd.DataFrame) -> str:
    cells = fields_of(frame)
    quote = {name: [c[key] for c in cells] for name, key in zip(("open", "high", "low", "close", "volume"), "ohlcv", strict=True)}
    result = {"meta": {"symbol": "IBM"}, "timestamp": [c["s"] for c in cells], "indicators": {"quote": [quote]}}
    return json.dumps({"chart": {"result": [result], "error": None}})


def kraken_json(frame: pd.DataFrame) -> str:
    bars = [[c["s"], *(str(c[k]) for k in "ohlc"), str(c["c"]), str(c["v"]), 3] for c in fields_of(frame)]
    return json.dumps({"error": [], "result": {"XXBTZUSD": bars, "last": 1}})


def columns_json(frame: pd.DataFrame) -> str:
    cells = fields_of(frame)
    return json.dumps({"s": "ok", "t": [c["s"] for c in cells], **{k: [c[k] for c in cells] for k in "ohlcv"}})


def mt5(tick: str, real: str) -> Any:
    head = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    return lines(head, "{t:%Y.%m.%d}\t{t:%H:%M:%S}\t{o}\t{h}\t{l}\t{c}\t" + f"{tick}\t{real}\t2")


SHARE: dict[str, Any] = {"frame": DAYS, "timeframe": "1d", "symbol": "IBM"}

VENDORS = [
    Shape("Charting and brokers", "MetaTrader 5", mt5("{v:.0f}", "0"), expected=with_volume(lambda v: np.array([float(f"{x:.0f}") for x in v])), told="ticks"),
    Shape("Charting and brokers", "MetaTrader 5 with real volume", mt5("9", "{v}")),
    Shape("Charting and brokers", "MetaTrader 5 in UTF-16", lambda f: str(mt5("9", "{v}")(f)).encode("utf-16"), told="UTF-16"),
    Shape("Charting and brokers", "MetaTrader 4 history", lines("", "{t:%Y.%m.%d},{t:%H:%M}," + OHLCV)),
    Shape("Charting and brokers", "MetaTrader 4 in UTF-16 without a mark", lambda f: str(lines("", "{t:%Y.%m.%d},{t:%H:%M}," + OHLCV)(f)).encode("utf-16-le")),
    Shape("Charting and brokers", "TradingView, unix seconds", lines("time,open,high,low,close,Volume", "{s}," + OHLCV)),
    Shape("Charting and brokers", "TradingView, ISO times and indicators", lines("time,open,high,low,close,Volume,Plot,Plot,Plot", "{t:%Y-%m-%dT%H:%M:%SZ}," + OHLCV + ",1,,2")),
    Shape("Charting and brokers", "TradingView with an average of volume", lines("time,open,high,low,close,Volume,Volume MA", "{s}," + OHLCV + ",7")),
    Shape("Charting and brokers", "NinjaTrader", lines("", "{t:%Y%m%d %H%M%S};{o};{h};{l};{c};{v}")),
    Shape("Charting and brokers", "HistData, ASCII", lines("", "{t:%Y%m%d %H%M%S};{o};{h};{l};{c};{v}"), symbol="EUR/USD", file="DAT_ASCII_EURUSD_M1_2024.csv"),
    Shape("Charting and brokers", "Dukascopy", lines("Gmt time,Open,High,Low,Close,Volume", "{t:%d.%m.%Y %H:%M:%S}.000," + OHLCV)),
    Shape("Charting and brokers", "Dukascopy, local times", lines("Local time,Open,High,Low,Close,Volume", "{t:%d.%m.%Y %H:%M:%S}.000 GMT+0100," + OHLCV, zone="Etc/GMT-1")),
    Shape("Charting and brokers", "OANDA, mid prices", objects('"complete":true,"volume":{v},"time":"{t:%Y-%m-%dT%H:%M:%S}.000000000Z","mid":{{"o":"{o}","h":"{h}","l":"{l}","c":"{c}"}}', '{"instrument":"EUR_USD","candles":', "}"), symbol="EUR/USD", file="candles.json"),
    Shape("Charting and brokers", "OANDA, mid prices as CSV", lines("time,complete,volume,mid.o,mid.h,mid.l,mid.c", "{t:%Y-%m-%dT%H:%M:%SZ},True,{v},{o},{h},{l},{c}"), symbol="EUR/USD"),
    Shape("Charting and brokers", "bid and ask without trades", lines("time,volume,bid.o,bid.h,bid.l,bid.c,ask.o,ask.h,ask.l,ask.c", "{s},{v},{o},{h},{l},{c},{o},{h},{l},{c}"), refused="prices of bid and ask, none of trades"),
    Shape("Charting and brokers", "Interactive Brokers", lines("date,open,high,low,close,volume,barCount,average", "{t:%Y%m%d  %H:%M:%S}," + OHLCV + ",3,{c}")),
    Shape("Charting and brokers", "thinkorswim", lines("Date,Open,High,Low,Close,Volume", "{t:%m/%d/%y}," + OHLCV), **SHARE),
    Shape("Charting and brokers", "Metastock ASCII", lines("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", "IBM,D,{t:%Y%m%d},000000," + OHLCV + ",0"), **SHARE),
    Shape("Charting and brokers", "Finam", lines("<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>", "IBM;60;{t:%Y%m%d};{t:%H%M%S};{o};{h};{l};{c};{v}"), symbol="IBM"),
    Shape("Charting and brokers", "Investing.com", lines('"Date","Price","Open","High","Low","Vol.","Change %"', '"{t:%m/%d/%Y}","{c:,}","{o:,}","{h:,}","{l:,}","{v:.2f}K","1.2%"', newest_first=True), frame=DAYS, timeframe="1d", symbol="IBM", expected=with_volume(lambda v: np.array([float(f"{x:.2f}e3") for x in v])), told="K, M or B"),
    Shape("Charting and brokers", "Nasdaq.com", lines("Date,Close/Last,Volume,Open,High,Low", "{t:%m/%d/%Y},${c},{v},${o},${h},${l}", newest_first=True), **SHARE),
    Shape("Charting and brokers", "Ariva, money beside shares", lines("Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen", "{t:%d.%m.%Y};{o};{h};{l};{c};{v};{q}", comma=True, newest_first=True), told="decimal commas", **SHARE),
    Shape("Data vendors", "Stooq, daily", lines("Date,Open,High,Low,Close,Volume", "{t:%Y-%m-%d}," + OHLCV), **SHARE),
    Shape("Data vendors", "Stooq, in Polish", lines("Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen", "{t:%Y-%m-%d}," + OHLCV), **SHARE),
    Shape("Data vendors", "Stooq, bulk text", lines("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", "IBM.US,60,{t:%Y%m%d},{t:%H%M%S}," + OHLCV + ",0"), symbol="IBM", file="ibm.us.txt"),
    Shape("Data vendors", "Polygon, JSON", symbol="BTC/USD", content= objects('"v":{v},"vw":{c},"o":{o},"c":{c},"h":{h},"l":{l},"t":{ms},"n":3', '{"ticker":"X:BTCUSD","results":', ',"status":"OK"}'), file="aggs.json"),
    Shape("Data vendors", "Polygon, flat file", lines("ticker,volume,open,close,high,low,window_start,transactions", "IBM,{v},{o},{c},{h},{l},{ns},3"), symbol="IBM"),
    Shape("Data vendors", "Polygon, days at midnight in New York", lines("timestamp,open,high,low,close,volume,vwap,transactions", "{ms}," + OHLCV + ",1,1"), frame=candles(60, "1d", "2022-01-03", business=True), timeframe="1d", symbol="IBM"),
    Shape("Data vendors", "Alpha Vantage, CSV", lines("timestamp,open,high,low,close,volume", "{t:%Y-%m-%d}," + OHLCV, newest_first=True), **SHARE),
    Shape("Data vendors", "Alpha Vantage, JSON", alpha_vantage, file="daily.json", **SHARE),
    Shape("Data vendors", "Alpaca, JSON", objects('"t":"{t:%Y-%m-%dT%H:%M:%SZ}","o":{o},"h":{h},"l":{l},"c":{c},"v":{v},"n":3,"vw":{c}', '{"bars":', ',"symbol":"IBM"}'), symbol="IBM", file="bars.json"),
    Shape("Data vendors", "Yahoo chart, JSON", yahoo_chart, file="chart.json", **SHARE),
    Shape("Data vendors", "Finnhub, JSON columns", columns_json, file="candle.json", symbol="IBM"),
    Shape("Data vendors", "Tiingo with adjusted prices", lines("date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor", "{t:%Y-%m-%d},1,1,1,1,{v},{c},{h},{l},{o},{v},0,1"), told="adjusted prices of the file", **SHARE),
    Shape("Data vendors", "EODHD", lines("Date,Open,High,Low,Close,Adjusted_close,Volume", "{t:%Y-%m-%d},{o},{h},{l},{c},{c},{v}"), **SHARE),
    Shape("Data vendors", "CoinMarketCap", lines("timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp", '"{t:%Y-%m-%dT%H:%M:%S}.000Z";"{t:%Y-%m-%dT23:59:59}.999Z";"x";"x";"2781";{o};{h};{l};{c};{q};9;"{t:%Y-%m-%dT23:59:59}.999Z"', newest_first=True), frame=ROUND_THE_CLOCK, timeframe="1d", **_TURNOVER),
    Shape("Data vendors", "CryptoDataDownload", lines("https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount", "{ms},{t:%Y-%m-%d %H:%M:%S},BTC/USDT," + OHLCV + ",{q},3", newest_first=True)),
    Shape("Data vendors", "CryptoDataDownload of another coin", lines("unix,date,symbol,open,high,low,close,Volume ETH,Volume USDT", "{ms},{t:%Y-%m-%d %H:%M:%S},ETH/USDT," + OHLCV + ",{q}"), refused="the file is of ETH/USDT"),
    Shape("Data vendors", "turnover only", lines("unix,date,open,high,low,close,Volume USDT", "{s},{t:%Y-%m-%d %H:%M:%S},{o},{h},{l},{c},{q}"), symbol="ETH/USDT", file="eth.csv", **_TURNOVER),
    Shape("Data vendors", "Kaggle's Bitstamp minutes", lines("Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price", "{s}," + OHLCV + ",{q},{c}"), symbol="BTC/USD"),
    Shape("Data vendors", "CryptoCompare", objects('"time":{s},"high":{h},"low":{l},"open":{o},"volumefrom":{v},"volumeto":{q},"close":{c}', '{"Response":"Success","Data":{"TimeFrom":1,"Data":', "}}"), file="histohour.json"),
    Shape("Venues", "Binance, dump", lines("", "{ms}," + OHLCV + ",{end},{q},3,1,1,0")),
    Shape("Venues", "Binance, dump in microseconds", lines("", "{us}," + OHLCV + ",{end}000,{q},3,1,1,0")),
    Shape("Venues", "Binance, dump with a header", lines("open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore", "{ms}," + OHLCV + ",{end},{q},3,1,1,0")),
    Shape("Venues", "Binance, JSON", rows('[{ms},"{o}","{h}","{l}","{c}","{v}",{end},"{q}",3,"1","1","0"]'), file="klines.json"),
    Shape("Venues", "Kraken, dump", lines("", "{s}," + OHLCV + ",12"), symbol="BTC/USD", file="XBTUSD_60.csv"),
    Shape("Venues", "Kraken, JSON", kraken_json, symbol="BTC/USD", file="ohlc.json"),
    Shape("Venues", "Bitstamp, JSON", symbol="BTC/USD", content= objects('"close":"{c}","high":"{h}","low":"{l}","open":"{o}","timestamp":"{s}","volume":"{v}"', '{"data":{"pair":"BTC/USD","ohlc":', "}}"), file="ohlc.json"),
    Shape("Venues", "Bitfinex, rows without a header", lines("", "{ms},{o},{c},{h},{l},{v}", newest_first=True), told="open, close, high, low"),
    Shape("Venues", "Bitfinex, JSON", rows("[{ms},{o},{c},{h},{l},{v}]"), file="hist.json", told="open, close, high, low"),
    Shape("Venues", "Coinbase, rows without a header", lines("", "{s},{l},{h},{o},{c},{v}", newest_first=True), told="low, high, open, close"),
    Shape("Venues", "Coinbase, JSON", rows("[{s},{l},{h},{o},{c},{v}]"), file="candles.json", told="low, high, open, close"),
    Shape("Venues", "KuCoin, JSON", rows('["{s}","{o}","{c}","{h}","{l}","{v}","{q}"]'), file="candles.json"),
    Shape("Venues", "Bybit, JSON", rows('["{ms}","{o}","{h}","{l}","{c}","{v}","{q}"]'), file="kline.json"),
    Shape("Venues", "OKX, JSON", rows('["{ms}","{o}","{h}","{l}","{c}","{v}","{v}","{q}","1"]'), file="candles.json"),
    Shape("Venues", "Gate.io, JSON", rows('["{s}","{q}","{c}","{h}","{l}","{o}","{v}","true"]'), file="candles.json"),
    Shape("Venues", "HTX, where `vol` is money", objects('"id":{s},"open":{o},"close":{c},"low":{l},"high":{h},"amount":{v},"vol":{q},"count":3', '{"ch":"market.btcusdt.kline.60min","data":', "}"), file="kline.json", told="turnover"),
    Shape("Venues", "ccxt", rows("[{ms},{o},{h},{l},{c},{v}]"), file="ohlcv.json"),
    Shape("Programs", "freqtrade, JSON", rows("[{ms},{o},{h},{l},{c},{v}]"), file="BTC_USDT-1h.json"),
    Shape("Programs", "Backtrader, sample days of 2005", lines("Date,Open,High,Low,Close,Volume,OpenInterest", "{t:%Y-%m-%d}," + OHLCV + ",0"), frame=candles(60, "1d", "2005-01-03", business=True), timeframe="1d", symbol="2005-2006-day-001", file="2005-2006-day-001.txt"),
    Shape("Programs", "Backtrader, sample minutes of 2006", lines("Date,Time,Open,High,Low,Close,Volume,OpenInterest", "{t:%Y-%m-%d},{t:%H:%M:%S}," + OHLCV + ",0"), frame=candles(80, "5m", "2006-01-02 09:05"), timeframe="5m", symbol="2006-min-005", file="2006-min-005.txt"),
    Shape("Programs", "Backtrader, Yahoo sample of 1995", lines("Date,Open,High,Low,Close,Adj Close,Volume", "{t:%Y-%m-%d},{o},{h},{l},{c},{c},{v}"), frame=candles(60, "1d", "1995-01-03", business=True), timeframe="1d", symbol="ORCL"),
    Shape("Programs", "Backtrader, ticks of a trading program", lines("", "{t:%d/%m/%Y},{t:%H:%M}," + OHLCV)),
    Shape("Programs", "QuantConnect, header of Lean's notebooks", lines("time,open,high,low,close,volume", "{t:%Y%m%d %H:%M}," + OHLCV)),
]  # fmt: skip
