# ruff: noqa: E501 (a table: one shape a row)
"""Further exports of vendors, venues and programs: what they say of themselves beside their rows, and notations of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tests.feeds.files.shapes.notations import DAILY, HEAD, OHLCV, parquet, part, text, zipped
from tests.feeds.files.shapes.shape import ROUND_THE_CLOCK, Content, Shape, candles, fields_of, lines, sessions, with_volume
from tests.feeds.files.shapes.vendors import objects, rows

COIN: dict[str, Any] = {"frame": ROUND_THE_CLOCK, "timeframe": "1d"}
WEEKS: dict[str, Any] = {"timeframe": "1w", "symbol": "IBM"}
KLINES = OHLCV + ",{end},{q},3,1,1,0"
NEW_YORK = "America/New_York"


def as_json(make: Callable[[list[dict[str, Any]]], Any]) -> Content:
    return lambda frame: json.dumps(make(fields_of(frame)))


def columns(cells: list[dict[str, Any]], **names: str) -> dict[str, list[Any]]:
    return {name: [c[key] for c in cells] for name, key in names.items()}


def written(frame: pd.DataFrame, row: Callable[[dict[str, Any]], str], head: str = HEAD) -> str:
    return "\n".join([head, *map(row, fields_of(frame))]) + "\n"


def grouped(mark: str, decimal: str) -> Content:
    """Prices in hundreds, their thousands apart."""

    def price(value: float) -> str:
        return f"{value * 100:,.2f}".replace(".", "!").replace(",", mark).replace("!", decimal)

    return lambda f: written(
        f, lambda c: f"{c['t']:%Y-%m-%d %H:%M:%S};" + ";".join(price(c[k]) for k in "ohlc") + f";{str(c['v']).replace('.', decimal)}", HEAD.replace(",", ";")
    )  # fmt: skip


def in_hundreds(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: [float(f"{value * 100:.2f}") for value in frame[name]] for name in ("open", "high", "low", "close")})


def thousandfold(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(volume=[float(Decimal(str(value)) * 1000) for value in frame["volume"]])


def bitmex(frame: pd.DataFrame) -> str:
    head = "timestamp,symbol,open,high,low,close,trades,volume,vwap,lastSize,turnover,homeNotional,foreignNotional"
    hour = pd.Timedelta("1h")
    return written(
        frame,
        lambda c: (
            f"{c['t'] + hour:%Y-%m-%dT%H:%M:%S}.000Z,XBTUSD,{c['o']},{c['h']},{c['l']},{c['c']},3,{c['q']:.0f},{c['c']},1,7,{c['v']},{c['q']}"
        ),
        head,
    )


def changed_unit(frame: pd.DataFrame) -> str:
    return str(lines("", "{ms}," + KLINES)(frame.iloc[:200])) + str(lines("", "{us}," + KLINES)(frame.iloc[200:]))


def interleaved(head: str, other: float) -> Content:
    def write(frame: pd.DataFrame) -> str:
        two = [
            [
                f"{c['t']:%Y-%m-%d},{name},{c['o'] * k},{c['h'] * k},{c['l'] * k},{c['c'] * k},{c['v']}"
                for name, k in (("IBM", 1.0), ("AAPL", other))
            ]
            for c in fields_of(frame)
        ]
        return "\n".join([head, *(row for pair in two for row in pair)]) + "\n"

    return write


def tiingo(ticker: str) -> Content:
    return as_json(
        lambda cells: [
            {
                "ticker": ticker,
                "priceData": [
                    {
                        "date": f"{c['t']:%Y-%m-%dT%H:%M:%S}+00:00",
                        "open": c["o"],
                        "high": c["h"],
                        "low": c["l"],
                        "close": c["c"],
                        "volume": c["v"],
                        "volumeNotional": c["q"],
                    }
                    for c in cells
                ],
            }
        ]
    )


def twelve(symbol: str) -> Content:
    return objects(
        '"datetime":"{t:%Y-%m-%d %H:%M:%S}","open":"{o}","high":"{h}","low":"{l}","close":"{c}","volume":"{v}"',
        f'{{"meta":{{"symbol":"{symbol}","interval":"1h"}},"values":',
        "}",
    )


def decimals(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda value: Decimal(str(value)))


def whole_billionths(frame: pd.DataFrame) -> str:
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"
    return written(frame, lambda c: f"{c['ns']},34,1,5," + ",".join(f"{c[k] * 1e9:.0f}" for k in "ohlc") + f",{c['v']},IBM", head)


FRIDAYS, SUNDAYS = candles(60, "1w", "2022-01-07"), candles(60, "1w", "2022-01-02")

EXPORTS = [
    Shape("What a file says of itself", "Tiingo, coins in JSON", tiingo("btcusd"), symbol="BTC/USD", file="prices.json"),
    Shape("What a file says of itself", "Tiingo, another coin", tiingo("ethusd"), symbol="BTC/USD", file="prices.json", refused="the file is of ethusd by its 'ticker'"),
    Shape("What a file says of itself", "Twelve Data, JSON", twelve("BTC/USDT"), file="series.json"),
    Shape("What a file says of itself", "Twelve Data, another coin", twelve("ETH/USDT"), file="series.json", refused="the file is of ETH/USDT by its 'symbol'"),
    Shape("What a file says of itself", "Hyperliquid, JSON", objects('"T":{end},"c":"{c}","h":"{h}","i":"1h","l":"{l}","n":3,"o":"{o}","s":"BTC","t":{ms},"v":"{v}"'), file="candles.json"),
    Shape("What a file says of itself", "Hyperliquid, another coin", objects('"T":{end},"c":"{c}","h":"{h}","i":"1h","l":"{l}","n":3,"o":"{o}","s":"ETH","t":{ms},"v":"{v}"'), file="candles.json", refused="the file is of ETH by its column 's'"),
    Shape("What a file says of itself", "Kaggle's shares, column Name", lines("date,open,high,low,close,volume,Name", "{t:%Y-%m-%d}," + OHLCV + ",IBM"), **DAILY),
    Shape("What a file says of itself", "Kaggle's shares, another share", lines("date,open,high,low,close,volume,Name", "{t:%Y-%m-%d}," + OHLCV + ",AAPL"), **DAILY, refused="the file is of AAPL by its column 'Name'"),
    Shape("What a file says of itself", "two shares by turns", interleaved("date,Name,open,high,low,close,volume", 2.0), **DAILY, told="rows of IBM"),
    Shape("What a file says of itself", "Refinitiv code of another share", lines("date,open,high,low,close,volume,RIC", "{t:%Y-%m-%d}," + OHLCV + ",AAPL.O"), **DAILY, refused="the file is of AAPL.O"),
    Shape("What a file says of itself", "Upbit, quote first", objects('"market":"KRW-BTC","candle_date_time_utc":"{t:%Y-%m-%dT%H:%M:%S}","opening_price":{o},"high_price":{h},"low_price":{l},"trade_price":{c},"timestamp":{end},"candle_acc_trade_price":{q},"candle_acc_trade_volume":{v},"unit":60'), symbol="BTC/KRW", file="candles.json"),
    Shape("What a file says of itself", "Metastock without a header", lines("", "IBM,D,{t:%Y%m%d},000000," + OHLCV + ",0"), **DAILY),
    Shape("What a file says of itself", "rows of another coin without a header", lines("", "ETHUSDT,{ms}," + OHLCV), refused="the file is of ETHUSDT"),
    Shape("What a file says of itself", "zone in a column", lines("date,time,timezone,open,high,low,close,volume", "{t:%Y-%m-%d},{t:%H:%M}," + NEW_YORK + "," + OHLCV, zone=NEW_YORK), told="those of America/New_York, as the file says"),
    Shape("What a file says of itself", "offset in a column", lines("date,time,gmtoffset,open,high,low,close,volume", "{t:%Y-%m-%d},{t:%H:%M},-18000," + OHLCV, zone="Etc/GMT+5"), refused="name theirs with --tz"),
    Shape("What a file says of itself", "EODHD, minutes and hours", lines("Timestamp,Gmtoffset,Datetime,Open,High,Low,Close,Volume", "{s},0,{t:%Y-%m-%d %H:%M:%S}," + OHLCV), symbol="IBM"),
    Shape("What a file says of itself", "JForex, zone in the name", lines("Time (EET),Open,High,Low,Close,Volume ", "{t:%Y.%m.%d %H:%M:%S}," + OHLCV, zone="Europe/Athens"), symbol="EUR/USD", told="those of EET, as the file says"),
    Shape("What a file says of itself", "EST in the name", lines("Date (EST),open,high,low,close,volume", "{t:%Y-%m-%d %H:%M:%S}," + OHLCV, zone="Etc/GMT+5"), refused="those of EST as it says, which several zones may mean"),
    Shape("What a file says of itself", "EST in the name, with --tz", lines("Date (EST),open,high,low,close,volume", "{t:%Y-%m-%d %H:%M:%S}," + OHLCV, zone="Etc/GMT+5"), options={"tz": "-05:00"}),
    Shape("What a file says of itself", "IBKR, zone behind each time", lines("date,open,high,low,close,volume,average,barCount", "{t:%Y%m%d %H:%M:%S} US/Eastern," + OHLCV + ",{c},3", zone=NEW_YORK), symbol="IBM"),
    Shape("What a file says of itself", "EST in summer too", lines("time,open,high,low,close,volume", "{t:%Y-%m-%d %H:%M:%S} EST," + OHLCV, zone="Etc/GMT+5"), frame=candles(320, start="2024-06-03"), told="EST is taken for UTC-05:00 all year"),
    Shape("What a file says of itself", "BitMEX, dated with the end", bitmex, symbol="BTC/USD", told="volume is 'homeNotional'"),
    Shape("What a file says of itself", "FTX, volume in money", objects('"startTime":"{t:%Y-%m-%dT%H:%M:%S}+00:00","time":{ms}.0,"open":{o},"high":{h},"low":{l},"close":{c},"volume":{q}', '{"success":true,"result":', "}"), file="candles.json", exact=False, told="'volume' is money"),
    Shape("What a file says of itself", "Databento, whole numbers", whole_billionths, symbol="IBM", told="units of 1e-9"),
    Shape("Further venues", "Binance, milliseconds and then microseconds", changed_unit),
    Shape("Further venues", "Binance, months in two units", zipped(**{"BTCUSDT-1h-2024-12.csv": part(0, 200, lines("", "{ms}," + KLINES)), "BTCUSDT-1h-2025-01.csv": part(200, 320, lines("", "{us}," + KLINES))}), file="months.zip"),
    Shape("Further venues", "Bitget, JSON", rows('["{ms}","{o}","{h}","{l}","{c}","{v}","{q}","{q}"]'), file="candles.json"),
    Shape("Further venues", "MEXC, JSON", rows('[{ms},"{o}","{h}","{l}","{c}","{v}",{end},"{q}"]'), file="klines.json"),
    Shape("Further venues", "MEXC, columns of contracts", as_json(lambda cells: {"success": True, "data": columns(cells, time="s", open="o", close="c", high="h", low="l", vol="v", amount="q", realOpen="o", realClose="c", realHigh="h", realLow="l")}), file="klines.json"),
    Shape("Further venues", "Deribit, JSON", as_json(lambda cells: {"jsonrpc": "2.0", "result": {"status": "ok", **columns(cells, ticks="ms", open="o", high="h", low="l", close="c", volume="v", cost="q")}}), file="chart.json"),
    Shape("Further venues", "dYdX, JSON", objects('"startedAt":"{t:%Y-%m-%dT%H:%M:%S}.000Z","ticker":"BTC-USD","resolution":"1HOUR","low":"{l}","high":"{h}","open":"{o}","close":"{c}","baseTokenVolume":"{v}","usdVolume":"{q}"', '{"candles":', "}"), symbol="BTC/USD", file="candles.json"),
    Shape("Further venues", "Gate.io, monthly file", lines("", "{s},{v},{c},{h},{l},{o}"), file="BTC_USDT-202403.csv", told="volume, close, high, low, open"),
    Shape("Further venues", "close before open, oldest first", lines("", "{s},{c},{h},{l},{o},{v}"), told="close, high, low, open"),
    Shape("Further venues", "open before close, newest first", lines("", "{s}," + OHLCV, newest_first=True)),
    Shape("Further venues", "turnover before volume", lines("", "{s},{o},{h},{l},{c},{q},{v}")),
    Shape("Further venues", "OKX, contracts beside coins", lines("ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm", "{ms},{o},{h},{l},{c},900,{v},{q},1"), told="'volCcy' is the volume"),
    Shape("Further venues", "Poloniex, old JSON", objects('"date":{s},"high":{h},"low":{l},"open":{o},"close":{c},"volume":{q},"quoteVolume":{v},"weightedAverage":{c}'), file="chart.json", told="'volume' is turnover"),
    Shape("Further venues", "CoinAPI", lines("time_period_start;time_period_end;time_open;time_close;price_open;price_high;price_low;price_close;volume_traded;trades_count", "{t:%Y-%m-%dT%H:%M:%S}.0000000Z;{t:%Y-%m-%dT%H}:59:59.0000000Z;{t:%Y-%m-%dT%H}:00:12.0000000Z;{t:%Y-%m-%dT%H}:59:50.0000000Z;{o};{h};{l};{c};{v};3")),
    Shape("Further venues", "CoinGecko, prices alone", as_json(lambda cells: {"prices": [[c["ms"], c["c"]] for c in cells], "total_volumes": [[c["ms"], c["q"]] for c in cells]}), file="chart.json", refused="no table of candles"),
    Shape("Further venues", "CoinGecko, without volume", rows("[{ms},{o},{h},{l},{c}]"), file="ohlc.json", refused="5 columns fit no known form"),
    Shape("Further vendors", "Yahoo, copied from its page", lines("Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\tAdj Close Adjusted close price adjusted for splits and dividend and/or capital gain distributions.\tVolume", "{t:%b %d, %Y}\t{o}\t{h}\t{l}\t{c}\t{c}\t{v}", newest_first=True), **DAILY),
    Shape("Further vendors", "Google's sheets, dated with the close", lines("Date,Open,High,Low,Close,Volume", "{t:%m/%d/%Y} 16:00:00," + OHLCV), **DAILY, told="days are those of the dates"),
    Shape("Further vendors", "days dated with their last minute", lines("Date,Open,High,Low,Close,Volume", "{t:%Y-%m-%d} 23:59," + OHLCV), **COIN, told="days are those of the dates"),
    Shape("Further vendors", "Nasdaq Data Link, all prices adjusted", lines("ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume", "IBM,{t:%Y-%m-%d},1,1,1,1,9,0,1,{o},{h},{l},{c},{v}"), **DAILY, told="adjusted prices of the file"),
    Shape("Further vendors", "all prices adjusted, the volume not", lines("date,open,high,low,close,volume,adj_open,adj_high,adj_low,adj_close", "{t:%Y-%m-%d},1,1,1,1,{v},{o},{h},{l},{c}"), **DAILY, exact=False, expected=lambda f: f.assign(volume=f["volume"] / f["close"])),
    Shape("Further vendors", "Barchart", lines("Time,Open,High,Low,Latest,Change,%Change,Volume", '{t:%Y-%m-%d},{o},{h},{l},{c},1,"1%",{v}', newest_first=True, foot='"Downloaded from Barchart.com as of 01-01-2025 03:12pm CST"'), **DAILY, told="footer"),
    Shape("Further vendors", "BSE", lines("Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades,Total Turnover (Rs.)", "{t:%d-%B-%Y},{o},{h},{l},{c},1,{v},3,{q}"), **DAILY),
    Shape("Further vendors", "MOEX", lines("TRADEDATE;OPEN;HIGH;LOW;CLOSE;VOLUME;VALUE", "{t:%Y-%m-%d};{o};{h};{l};{c};{v};{q}"), **DAILY),
    Shape("Further vendors", "Finam, two digits of the year", lines("<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>", "IBM;60;{t:%y%m%d};{t:%H%M%S};{o};{h};{l};{c};{v}"), symbol="IBM"),
    Shape("Further vendors", "dates as 220103", lines("", "{t:%y%m%d}," + OHLCV), **DAILY, told="times as 220103"),
    Shape("Further vendors", "AmiBroker, order of dates in the name", lines("$FORMAT Ticker, Date_DMY, Time, Open, High, Low, Close, Volume", "BTCUSDT,{t:%d-%m-%Y},{t:%H:%M:%S}," + OHLCV)),
    Shape("Further vendors", "Sierra Chart", lines("Date, Time, Open, High, Low, Last, Volume, # of Trades, OHLC Avg, HLC Avg, HL Avg, Bid Volume, Ask Volume", "{t:%Y/%m/%d}, {t:%H:%M:%S}.000000, {o}, {h}, {l}, {c}, {v}, 12, 1, 1, 1, 2, 3")),
    Shape("Further vendors", "TradeStation", lines('"Date","Time","Open","High","Low","Close","Vol","OI"', "{t:%m/%d/%Y},{t:%H:%M}," + OHLCV + ",0")),
    Shape("Further vendors", "yfinance, hours with offsets", lines("Datetime,Open,High,Low,Close,Volume,Dividends,Stock Splits", "{t:%Y-%m-%d %H:%M:%S%z}," + OHLCV + ",0.0,0.0", zone=NEW_YORK), frame=sessions(), symbol="IBM"),
    Shape("Further vendors", "Investing.com in German", lines('"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"', '"{t:%d.%m.%Y}","{c}","{o}","{h}","{l}","{v}K","1,2%"', comma=True, newest_first=True), **COIN, expected=thousandfold),
    Shape("Further vendors", "headers in Chinese", lines("日期,开盘,收盘,最高,最低,成交量,成交额", "{t:%Y-%m-%d},{o},{c},{h},{l},{v},{q}"), **DAILY),
    Shape("Further vendors", "headers in Japanese", lines("日付,始値,高値,安値,終値,出来高", "{t:%Y/%m/%d}," + OHLCV), **DAILY),
    Shape("Further vendors", "headers in Russian", lines("Дата;Откр.;Макс.;Мин.;Цена закрытия;Закрытие;Объём", "{t:%d.%m.%Y};{o};{h};{l};-;{c};{v}"), **DAILY),
    Shape("Further notations", "weeks dated with their last day", lines("date,open,high,low,close,volume", "{t:%Y-%m-%d}," + OHLCV), frame=FRIDAYS, **WEEKS, told="weeks are dated on Fridays"),
    Shape("Further notations", "weeks dated with their last day, with --stamped", lines("date,open,high,low,close,volume", "{t:%Y-%m-%d}," + OHLCV), frame=SUNDAYS, **WEEKS, options={"stamped": "end"}, expected=lambda f: f.set_axis(f.index - pd.Timedelta("6D"))),
    Shape("Further notations", "thousands apart by narrow spaces", grouped("\u202f", ","), expected=in_hundreds),
    Shape("Further notations", "thousands apart by apostrophes", grouped("'", "."), expected=in_hundreds),
    Shape("Further notations", "lakhs", lambda f: written(f, lambda c: f'{c["s"]},{c["o"]},{c["h"]},{c["l"]},{c["c"]},"12,34,567"'), expected=with_volume(lambda v: np.full(len(v), 1234567.0))),
    Shape("Further notations", "a minus of typesetters", lambda f: written(f, lambda c: f"{c['s']},{c['o']},{c['h']},{c['l']},{c['c']},−{c['v']}"), refused="not a number"),
    Shape("Further notations", "volume of negative zero", lambda f: written(f, lambda c: f"{c['s']},{c['o']},{c['h']},{c['l']},{c['c']},-0.0"), expected=with_volume(lambda v: np.zeros(len(v)))),
    Shape("Further notations", "quotes here and there", lambda f: written(f, lambda c: f'"{c["s"]}",{c["o"]},"{c["h"]}",{c["l"]},{c["c"]},{c["v"]}' if c["s"] % 7200 else f'{c["s"]},{c["o"]},{c["h"]},{c["l"]},{c["c"]},"{c["v"]}"')),
    Shape("Further notations", "empty lines of a spreadsheet", lambda f: text(f) + ",,,,,\n,,,,,\n"),
    Shape("Further notations", "a mark of Unicode and Windows' line ends", lambda f: ("\ufeff" + text(f)).replace("\n", "\r\n").encode()),
    Shape("Further notations", "old line ends", lambda f: text(f).replace("\n", "\r")),
    Shape("Further notations", "separator named above", lambda f: "sep=;\n" + text(f).replace(",", ";")),
    Shape("Further notations", "a price that is missing", lambda f: text(f).replace(f",{f['close'].iloc[5]},", ",NaN,", 1), refused="line 7 (2024-03-01 05:00): close is missing"),
    Shape("Further notations", "lists of numbers, one a line", lambda f: "".join(f"[{c['ms']}, {c['o']}, {c['h']}, {c['l']}, {c['c']}, {c['v']}]\n" for c in fields_of(f)), file="candles.jsonl"),
    Shape("Further notations", "Parquet of decimals", parquet(decimals), file="a.parquet"),
    Shape("Further notations", "Parquet of texts", parquet(lambda f: f.astype(str).set_axis(f.index.strftime("%Y-%m-%dT%H:%M:%SZ"))), file="a.parquet"),
    Shape("Further notations", "Heikin-Ashi beside prices", lines("time,ha_open,ha_high,ha_low,ha_close,open,high,low,close,volume", "{s},1,1,1,1," + OHLCV)),
    Shape("Further notations", "Heikin-Ashi alone", lines("time,ha_open,ha_high,ha_low,ha_close,volume", "{s},1,1,1,1,{v}"), refused="none of trades"),
]  # fmt: skip
