"""The engine's facts in Binance's payloads. Numbers are text with eight decimals, times milliseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.account import Account
from sandbox.binance_params import TYPE_NAMES
from sandbox.candle import Candle
from sandbox.events import Execution, OrderChanged
from sandbox.listing import Listing
from sandbox.matching import Level
from sandbox.order import ZERO, Order, OrderType, Status, TimeInForce, Trade

INTERVALS: Final = {
    "1s": 1_000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000, "2h": 7_200_000,
    "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000, "3d": 259_200_000, "1w": 604_800_000,
}  # fmt: skip
STATUS: Final = {
    Status.HELD: "PENDING_NEW",
    Status.NEW: "NEW",
    Status.PARTIAL: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
}
ORDER_TYPES: Final = list(TYPE_NAMES.values())
Payload = dict[str, Any]


def number(value: Decimal | None) -> str:
    return f"{value if value is not None else ZERO:.8f}"


def ident(symbol: str) -> str:
    """`BTC/USDT` as `BTCUSDT`."""
    return symbol.replace("/", "")


def order_status(order: Order) -> str:
    return STATUS[order.status]


def shown_tif(order: Order) -> str:
    return (TimeInForce.GTC if order.wish.type is OrderType.MARKET else order.wish.tif).value


def order_queried(order: Order) -> Payload:
    """The answer of `GET order`, `openOrders` and `allOrders`."""
    wish = order.wish
    return {
        "symbol": ident(wish.symbol),
        "orderId": order.id,
        "orderListId": order.list_id or -1,
        "clientOrderId": wish.client_id,
        "price": number(wish.limit_price),
        "origQty": number(order.size),
        "executedQty": number(order.filled),
        "cummulativeQuoteQty": number(order.quote_filled),
        "status": order_status(order),
        "timeInForce": shown_tif(order),
        "type": TYPE_NAMES[wish.type],
        "side": wish.side.upper(),
        "stopPrice": number(wish.stop_price),
        "icebergQty": number(ZERO),
        "time": order.placed_at,
        "updateTime": order.updated_at,
        "isWorking": wish.stop_price is None or order.triggered,
        "workingTime": order.placed_at,
        "origQuoteOrderQty": number(wish.quote_size),
        "selfTradePreventionMode": "NONE",
    }


def order_acknowledged(order: Order) -> Payload:
    return {
        "symbol": ident(order.wish.symbol),
        "orderId": order.id,
        "orderListId": order.list_id or -1,
        "clientOrderId": order.wish.client_id,
        "transactTime": order.updated_at,
    }


def order_result(order: Order) -> Payload:
    wish = order.wish
    stop = {"stopPrice": number(wish.stop_price)} if wish.stop_price is not None else {}
    return order_acknowledged(order) | {
        "price": number(wish.limit_price),
        "origQty": number(order.size),
        "executedQty": number(order.filled),
        "origQuoteOrderQty": number(wish.quote_size),
        "cummulativeQuoteQty": number(order.quote_filled),
        "status": order_status(order),
        "timeInForce": shown_tif(order),
        "type": TYPE_NAMES[wish.type],
        "side": wish.side.upper(),
        **stop,
        "workingTime": order.placed_at,
        "selfTradePreventionMode": "NONE",
    }


def order_full(order: Order) -> Payload:
    return order_result(order) | {"fills": [_fill(trade) for trade in order.trades]}


def order_canceled(order: Order) -> Payload:
    result = order_result(order)
    return result | {"origClientOrderId": order.wish.client_id, "clientOrderId": order.cancel_id, "transactTime": order.updated_at}


def _fill(trade: Trade) -> Payload:
    return {
        "price": number(trade.price),
        "qty": number(trade.size),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.id,
    }


def trade_queried(trade: Trade, list_id: int | None) -> Payload:
    return {
        "symbol": ident(trade.symbol),
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": list_id or -1,
        "price": number(trade.price),
        "qty": number(trade.size),
        "quoteQty": number(trade.quote),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at,
        "isBuyer": trade.side == "buy",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def account_queried(account: Account, at: int, maker: Decimal, taker: Decimal) -> Payload:
    """The answer of `GET account`; `maker` and `taker` are fractions."""
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": number(maker), "taker": number(taker), "buyer": number(ZERO), "seller": number(ZERO)},
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": at,
        "accountType": "SPOT",
        "balances": [
            {"asset": a, "free": number(account.available(a)), "locked": number(account.locked.get(a, ZERO))} for a in account.assets()
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def symbol_described(symbol: str, listing: Listing) -> Payload:
    """One entry of `exchangeInfo`."""
    rules = listing.rules
    largest = "9000.00000000" if rules.step < 1 else "9000000.00000000"
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
            {"filterType": "PRICE_FILTER", "minPrice": number(rules.tick), "maxPrice": "1000000.00000000", "tickSize": number(rules.tick)},
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
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
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


def execution_report(change: OrderChanged) -> Payload:
    """The `executionReport` event of the user data stream."""
    order, trade, wish = change.order, change.trade, change.order.wish
    canceled = change.execution is Execution.CANCELED
    return {
        "e": "executionReport",
        "E": change.at,
        "s": ident(wish.symbol),
        "c": order.cancel_id if canceled else wish.client_id,
        "S": wish.side.upper(),
        "o": TYPE_NAMES[wish.type],
        "f": shown_tif(order),
        "q": number(order.size),
        "p": number(wish.limit_price),
        "P": number(wish.stop_price),
        "F": number(ZERO),
        "g": order.list_id or -1,
        "C": wish.client_id if canceled else "",
        "x": change.execution.upper(),
        "X": order_status(order),
        "r": "NONE",
        "i": order.id,
        "l": number(trade.size if trade else ZERO),
        "z": number(order.filled),
        "L": number(trade.price if trade else ZERO),
        "n": number(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": change.at,
        "t": trade.id if trade else -1,
        "v": order.id,
        "I": order.id * 10 + len(order.trades),
        "w": order.is_open,
        "m": trade.maker if trade else False,
        "M": False,
        "O": order.placed_at,
        "Z": number(order.quote_filled),
        "Y": number(trade.quote if trade else ZERO),
        "Q": number(wish.quote_size),
        "W": order.placed_at,
        "V": "NONE",
    }


def account_position(account: Account, assets: tuple[str, ...], at: int) -> Payload:
    """The `outboundAccountPosition` event."""
    rows = [{"a": a, "f": number(account.available(a)), "l": number(account.locked.get(a, ZERO))} for a in assets]
    return {"e": "outboundAccountPosition", "E": at, "u": at, "B": rows}


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
