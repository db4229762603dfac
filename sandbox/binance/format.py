"""Orders, executions and balances in Binance's payload format. Numbers are text with eight decimals, times milliseconds UTC."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from forwardtrader.sandbox.binance.params import TYPE_NAMES
from forwardtrader.sandbox.engine.events import ExecutionType, OrderChanged
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder, OrderType, Status, TimeInForce, Trade

STATUS: Final = {
    Status.HELD: "PENDING_NEW",
    Status.NEW: "NEW",
    Status.PARTIAL: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
}
Payload = dict[str, Any]


def number(value: Decimal | None) -> str:
    return f"{value if value is not None else ZERO:.8f}"


def ident(symbol: str) -> str:
    """`BTC/USDT` as `BTCUSDT`; a perpetual has the name of its pair."""
    return symbol.partition(":")[0].replace("/", "")


def idents(symbols: Iterable[str], *, perpetual: bool = False) -> dict[str, str]:
    """The spot symbols, or the perpetuals, by the venue's name."""
    return {ident(symbol): symbol for symbol in symbols if (":" in symbol) is perpetual}


def order_status(order: ExchangeOrder) -> str:
    return STATUS[order.status]


def shown_tif(order: ExchangeOrder) -> str:
    return (TimeInForce.GTC if order.request.type is OrderType.MARKET else order.request.tif).value


def order_queried(order: ExchangeOrder) -> Payload:
    """The answer of `GET order`, `openOrders` and `allOrders`."""
    request = order.request
    return {
        "symbol": ident(request.symbol),
        "orderId": order.id,
        "orderListId": order.list_id or -1,
        "clientOrderId": request.client_id,
        "price": number(request.limit_price),
        "origQty": number(order.size),
        "executedQty": number(order.filled),
        "cummulativeQuoteQty": number(order.quote_filled),
        "status": order_status(order),
        "timeInForce": shown_tif(order),
        "type": TYPE_NAMES[request.type],
        "side": request.side.upper(),
        "stopPrice": number(request.stop_price),
        "icebergQty": number(ZERO),
        "time": order.placed_at,
        "updateTime": order.updated_at,
        "isWorking": request.stop_price is None or order.triggered,
        "workingTime": order.placed_at,
        "origQuoteOrderQty": number(request.quote_size),
        "selfTradePreventionMode": "NONE",
    }


def order_acknowledged(order: ExchangeOrder) -> Payload:
    return {
        "symbol": ident(order.request.symbol),
        "orderId": order.id,
        "orderListId": order.list_id or -1,
        "clientOrderId": order.request.client_id,
        "transactTime": order.updated_at,
    }


def order_result(order: ExchangeOrder) -> Payload:
    request = order.request
    stop = {"stopPrice": number(request.stop_price)} if request.stop_price is not None else {}
    return order_acknowledged(order) | {
        "price": number(request.limit_price),
        "origQty": number(order.size),
        "executedQty": number(order.filled),
        "origQuoteOrderQty": number(request.quote_size),
        "cummulativeQuoteQty": number(order.quote_filled),
        "status": order_status(order),
        "timeInForce": shown_tif(order),
        "type": TYPE_NAMES[request.type],
        "side": request.side.upper(),
        **stop,
        "workingTime": order.placed_at,
        "selfTradePreventionMode": "NONE",
    }


def order_full(order: ExchangeOrder) -> Payload:
    return order_result(order) | {"fills": [_fill(trade) for trade in order.trades]}


def order_canceled(order: ExchangeOrder) -> Payload:
    result = order_result(order)
    return result | {"origClientOrderId": order.request.client_id, "clientOrderId": order.cancel_id, "transactTime": order.updated_at}


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


def account_queried(account: ClientAccount, at: int, maker: Decimal, taker: Decimal) -> Payload:
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


def execution_report(change: OrderChanged) -> Payload:
    """The `executionReport` event of the user data stream."""
    order, trade, request = change.order, change.trade, change.order.request
    canceled = change.execution is ExecutionType.CANCELED
    return {
        "e": "executionReport",
        "E": change.at,
        "s": ident(request.symbol),
        "c": order.cancel_id if canceled else request.client_id,
        "S": request.side.upper(),
        "o": TYPE_NAMES[request.type],
        "f": shown_tif(order),
        "q": number(order.size),
        "p": number(request.limit_price),
        "P": number(request.stop_price),
        "F": number(ZERO),
        "g": order.list_id or -1,
        "C": request.client_id if canceled else "",
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
        "Q": number(request.quote_size),
        "W": order.placed_at,
        "V": "NONE",
    }


def account_position(account: ClientAccount, assets: tuple[str, ...], at: int) -> Payload:
    """The `outboundAccountPosition` event."""
    rows = [{"a": a, "f": number(account.available(a)), "l": number(account.locked.get(a, ZERO))} for a in assets]
    return {"e": "outboundAccountPosition", "E": at, "u": at, "B": rows}
