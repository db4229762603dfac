"""Request parameters of Bybit: parsing and validation as at the venue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit.errors import BybitError, bad
from forwardtrader.sandbox.orders.order import NewOrder, OrderType, TimeInForce

_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_LINK_ID: Final = re.compile(r"[a-zA-Z0-9\-_]{1,36}", re.ASCII)
_UNSUPPORTED: Final = ("takeProfit", "stopLoss", "trailingStop", "orderIv", "amount")
# Conditional orders: (has a limit price, is a stop rather than a take-profit) to the engine's order type.
_CONDITIONAL: Final = {
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
    (False, False): OrderType.TAKE_PROFIT,
    (True, False): OrderType.TAKE_PROFIT_LIMIT,
}


def decimal(params: Mapping[str, Any], name: str) -> Decimal | None:
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not _DECIMAL.fullmatch(str(value)):
        raise bad(f"{name} invalid")
    return Decimal(str(value))


def integer(params: Mapping[str, Any], name: str) -> int | None:
    value = params.get(name)
    if value is None or value == "":
        return None
    if not re.fullmatch(r"[0-9]{1,18}", str(value), re.ASCII):
        raise bad(f"{name} invalid")
    return int(value)


def text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None or value == "":
        raise bad(f"{name} is required")
    return str(value)


def read_order(params: Mapping[str, Any], symbol: str, last: Decimal, default_id: str) -> NewOrder:
    """Parse a create request; `last` decides whether a spot trigger lies above or below the market."""
    side, price, trigger = read_side(params), decimal(params, "price"), decimal(params, "triggerPrice")
    limit = _kind(params, price)
    if any(params.get(name) for name in _UNSUPPORTED):
        raise bad("attached or trailing orders are not supported here")
    tif = str(params.get("timeInForce") or "GTC")
    if tif not in (*TimeInForce.__members__, "PostOnly"):
        raise bad("timeInForce invalid")
    size = decimal(params, "qty")
    if size is None or size <= 0:
        raise BybitError(10001, "Qty invalid")
    in_quote = side is Side.BUY and not limit and ":" not in symbol and params.get("marketUnit") != "baseCoin" and trigger is None
    return NewOrder(
        symbol=symbol, side=side, type=_type(params, side, limit, trigger, last, tif), size=Decimal(0) if in_quote else size,
        quote_size=size if in_quote else None, limit_price=price if limit else None, stop_price=trigger,
        tif=TimeInForce[tif] if limit and tif != "PostOnly" else TimeInForce.GTC, client_id=_link_id(params) or default_id,
        reduce_only=":" in symbol and params.get("reduceOnly") in (True, "true"),  # spot has no positions, and ignores it
    )  # fmt: skip


def read_side(params: Mapping[str, Any]) -> Side:
    side = text(params, "side")
    if side not in ("Buy", "Sell"):
        raise bad("Side invalid")
    return Side(side.lower())


def _kind(params: Mapping[str, Any], price: Decimal | None) -> bool:
    """Whether it is a limit order."""
    kind = text(params, "orderType")
    if kind not in ("Market", "Limit"):
        raise bad("OrderType invalid")
    if kind == "Limit" and price is None:
        raise bad("price is required")
    return kind == "Limit"


def _type(params: Mapping[str, Any], side: Side, limit: bool, trigger: Decimal | None, last: Decimal, tif: str) -> OrderType:
    if trigger is None:
        if not limit:
            return OrderType.MARKET
        return OrderType.LIMIT_MAKER if tif == "PostOnly" else OrderType.LIMIT
    direction = integer(params, "triggerDirection")
    rising = trigger > last if direction is None else direction == 1
    return _CONDITIONAL[limit, rising == (side is Side.BUY)]


def _link_id(params: Mapping[str, Any]) -> str | None:
    value = params.get("orderLinkId")
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not _LINK_ID.fullmatch(value):
        raise bad("OrderLinkedID invalid")
    return value
