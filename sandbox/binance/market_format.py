"""Symbols, candles and tickers in Binance's payload format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forwardtrader.sandbox.binance.format import Payload, ident, number
from forwardtrader.sandbox.binance.params import TYPE_NAMES
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import MOST_VALUE, Listing, highest_price, largest_size
from forwardtrader.sandbox.orders.matching import Level
from forwardtrader.sandbox.orders.order import ZERO, OpenOrders

INTERVALS: Final = {
    "1s": 1_000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "2h": 7_200_000,
    "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000, "3d": 259_200_000, "1w": 604_800_000,
}  # fmt: skip
ORDER_TYPES: Final = list(TYPE_NAMES.values())


def symbol_described(symbol: str, listing: Listing, most: OpenOrders) -> Payload:
    """One entry of `exchangeInfo`."""
    rules = listing.rules
    largest, highest = number(largest_size(rules)), number(highest_price(rules))
    return {
        "symbol": ident(symbol),
        "status": "TRADING" if listing.is_open else "BREAK",
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": number(rules.tick), "maxPrice": highest, "tickSize": number(rules.tick)},
            {"filterType": "LOT_SIZE", "minQty": number(rules.min_size), "maxQty": largest, "stepSize": number(rules.step)},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": number(ZERO),
                "maxQty": number(rules.max_market_size),
                "stepSize": number(ZERO),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": number(rules.min_notional),
                "applyMinToMarket": True,
                "maxNotional": number(MOST_VALUE),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": most.orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": most.triggers},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def kline_row(candle: Candle, length: int) -> list[Any]:
    half = candle.volume / 2
    return [
        candle.start,
        number(candle.open),
        number(candle.high),
        number(candle.low),
        number(candle.close),
        number(candle.volume),
        candle.start + length - 1,
        number(candle.quote_volume),
        candle.trades,
        number(half),
        number(candle.quote_volume / 2),
        "0",
    ]


def kline_event(symbol: str, candle: Candle, interval: str, *, closed: bool, at: int) -> Payload:
    """The message of a `@kline_` stream."""
    return {
        "e": "kline",
        "E": at,
        "s": ident(symbol),
        "k": {
            "t": candle.start,
            "T": candle.start + INTERVALS[interval] - 1,
            "s": ident(symbol),
            "i": interval,
            "f": 1,
            "L": candle.trades,
            "o": number(candle.open),
            "c": number(candle.close),
            "h": number(candle.high),
            "l": number(candle.low),
            "v": number(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": number(candle.quote_volume),
            "V": number(candle.volume / 2),
            "Q": number(candle.quote_volume / 2),
            "B": "0",
        },
    }


def book_ticker(symbol: str, bid: Level, ask: Level) -> Payload:
    return {
        "symbol": ident(symbol),
        "bidPrice": number(bid.price),
        "bidQty": number(bid.size),
        "askPrice": number(ask.price),
        "askQty": number(ask.size),
    }


def day_ticker(symbol: str, day: Candle, listing: Listing, best: tuple[Level, Level], at: int) -> Payload:
    """The answer of `ticker/24hr`; `day` is the last 24 hours as one candle."""
    change = listing.last - day.open
    weighted = day.quote_volume / day.volume if day.volume else listing.last
    bid, ask = best
    return {
        "symbol": ident(symbol),
        "priceChange": number(change),
        "priceChangePercent": f"{change / day.open * 100:.3f}",
        "weightedAvgPrice": number(weighted),
        "prevClosePrice": number(day.open),
        "lastPrice": number(listing.last),
        "lastQty": number(listing.rules.step),
        "bidPrice": number(bid.price),
        "bidQty": number(bid.size),
        "askPrice": number(ask.price),
        "askQty": number(ask.size),
        "openPrice": number(day.open),
        "highPrice": number(day.high),
        "lowPrice": number(day.low),
        "volume": number(day.volume),
        "quoteVolume": number(day.quote_volume),
        "openTime": at - 86_400_000,
        "closeTime": at,
        "firstId": 1,
        "lastId": max(1, listing.prints),
        "count": day.trades,
    }


TICKER_EVENT_KEYS: Final[Mapping[str, str]] = {
    "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice", "c": "lastPrice",
    "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice", "h": "highPrice",
    "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count",
}  # fmt: skip


def ticker_event(ticker: Payload, at: int) -> Payload:
    """The message of a `@ticker` stream, from the answer of `ticker/24hr`."""
    return {"e": "24hrTicker", "E": at} | {short: ticker[name] for short, name in TICKER_EVENT_KEYS.items()}
