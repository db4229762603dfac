"""Orders and executions in the payload format of Binance USD-M. Numbers are text, times milliseconds UTC.

A conditional order is one of the Algo Service, with an id of its own, until its trigger is passed; from then on it is an order like others,
which keeps its client id.
"""

from __future__ import annotations

from typing import Any, Final

from forwardtrader.sandbox.binance.format import STATUS, ident, number
from forwardtrader.sandbox.engine.events import ExecutionType, OrderChanged
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder, OrderType, Origin, Status, TimeInForce, Trade
from forwardtrader.sandbox.usdm.params import POST_ONLY, TYPE_NAMES

Payload = dict[str, Any]
ALGO_IDS: Final = 1_000_000_000  # an algo id is that of the order behind it and so much more
_FORCED: Final = {Origin.LIQUIDATION: "autoclose-", Origin.DELEVERAGING: "adl_autoclose-", Origin.DELISTING: "settlement_autoclose-"}


def is_waiting(order: ExchangeOrder) -> bool:
    """Whether it is a conditional order whose trigger was not passed, so that no order stands behind it."""
    return is_conditional(order) and not order.triggered and not order.trades


def is_conditional(order: ExchangeOrder) -> bool:
    return order.request.stop_price is not None


def client_id(order: ExchangeOrder) -> str:
    """The client's id of an order; the venue's own are named for what made them."""
    prefix = _FORCED.get(order.request.origin)
    return order.request.client_id if prefix is None else f"{prefix}{order.id}"


def shown_tif(order: ExchangeOrder) -> str:
    if order.request.type is OrderType.LIMIT_MAKER:
        return POST_ONLY
    return (TimeInForce.GTC if order.request.limit_price is None else order.request.tif).value


def order_queried(order: ExchangeOrder) -> Payload:
    """An order, as requests and queries show it; one that was conditional shows what it became."""
    request = order.request
    return {
        "orderId": order.id,
        "symbol": ident(request.symbol),
        "status": STATUS[order.status],
        "clientOrderId": client_id(order),
        "price": number(request.limit_price),
        "avgPrice": number(order.average),
        "origQty": number(order.size),
        "executedQty": number(order.filled),
        "cumQuote": number(order.quote_filled),
        "timeInForce": shown_tif(order),
        "type": _became(order),
        "reduceOnly": request.reduce_only,
        "closePosition": False,
        "side": request.side.upper(),
        "positionSide": "BOTH",
        "stopPrice": number(ZERO),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": _became(order),
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "time": order.placed_at,
        "updateTime": order.updated_at,
    }


def algo_queried(order: ExchangeOrder) -> Payload:
    """A conditional order, whatever became of it."""
    request = order.request
    return {
        "algoId": ALGO_IDS + order.id,
        "clientAlgoId": request.client_id,
        "algoType": "CONDITIONAL",
        "orderType": TYPE_NAMES[request.type],
        "symbol": ident(request.symbol),
        "side": request.side.upper(),
        "positionSide": "BOTH",
        "timeInForce": request.tif.value,
        "quantity": number(order.size),
        "algoStatus": algo_status(order),
        "actualOrderId": "" if is_waiting(order) else str(order.id),
        "actualPrice": number(order.average),
        "triggerPrice": number(request.stop_price),
        "price": number(request.limit_price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": request.reduce_only,
        "createTime": order.placed_at,
        "updateTime": order.updated_at,
        "triggerTime": 0 if is_waiting(order) else order.updated_at,
        "goodTillDate": 0,
    }


def algo_status(order: ExchangeOrder) -> str:
    if is_waiting(order):
        return {Status.CANCELED: "CANCELED", Status.EXPIRED: "EXPIRED"}.get(order.status, "NEW")
    return "TRIGGERED" if order.is_open else "FINISHED"


def trade_queried(trade: Trade) -> Payload:
    """One row of `userTrades`."""
    return {
        "symbol": ident(trade.symbol),
        "id": trade.id,
        "orderId": trade.order_id,
        "side": trade.side.upper(),
        "price": number(trade.price),
        "qty": number(trade.size),
        "realizedPnl": number(trade.gain),
        "quoteQty": number(trade.quote),
        "commission": number(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at,
        "positionSide": "BOTH",
        "maker": trade.maker,
        "buyer": trade.side == "buy",
    }


def order_update(change: OrderChanged) -> Payload:
    """The `ORDER_TRADE_UPDATE` event."""
    order, trade, request = change.order, change.trade, change.order.request
    fee = {"N": trade.fee_asset, "n": number(trade.fee)} if trade else {}
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": change.at,
        "T": change.at,
        "o": {
            "s": ident(request.symbol),
            "c": client_id(order),
            "S": request.side.upper(),
            "o": "LIQUIDATION" if request.origin is Origin.LIQUIDATION else _became(order),
            "f": shown_tif(order),
            "q": number(order.size),
            "p": number(request.limit_price),
            "ap": number(order.average),
            "sp": number(ZERO),
            "x": _execution(change),
            "X": STATUS[order.status],
            "i": order.id,
            "l": number(trade.size if trade else ZERO),
            "z": number(order.filled),
            "L": number(trade.price if trade else ZERO),
            **fee,
            "T": change.at,
            "t": trade.id if trade else 0,
            "b": number(ZERO),
            "a": number(ZERO),
            "m": trade.maker if trade else False,
            "R": request.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": _became(order),
            "ps": "BOTH",
            "cp": False,
            "rp": number(trade.gain if trade else ZERO),
            "pP": False,
            "V": "EXPIRE_MAKER",
            "pm": "NONE",
            "gtd": 0,
        },
    }


def algo_update(change: OrderChanged, status: str = "") -> Payload:
    """The `ALGO_UPDATE` event, by default with the status that the order has now."""
    order = change.order
    row = algo_queried(order)
    return {
        "e": "ALGO_UPDATE",
        "E": change.at,
        "T": change.at,
        "o": {
            "caid": row["clientAlgoId"], "aid": row["algoId"], "at": row["algoType"], "o": row["orderType"], "s": row["symbol"],
            "S": row["side"], "ps": "BOTH", "f": row["timeInForce"], "q": row["quantity"], "X": status or row["algoStatus"],
            "ai": row["actualOrderId"], "ap": row["actualPrice"], "aq": number(order.filled), "act": _became(order),
            "tp": row["triggerPrice"], "p": row["price"], "V": "EXPIRE_MAKER", "wt": "CONTRACT_PRICE", "pm": "NONE", "cp": False,
            "pP": False, "R": row["reduceOnly"], "tt": row["triggerTime"], "gtd": 0,
        },
    }  # fmt: skip


def _execution(change: OrderChanged) -> str:
    """What the venue closes by itself is reported as CALCULATED."""
    if change.execution is ExecutionType.TRADE and change.order.request.origin is not Origin.CLIENT:
        return "CALCULATED"
    return change.execution.upper()


def _became(order: ExchangeOrder) -> str:
    """The type of the order that is matched."""
    return "MARKET" if order.request.limit_price is None else "LIMIT"
