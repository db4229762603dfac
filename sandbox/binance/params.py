"""Request parameters of Binance: parsing and validation as at the venue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.orders.order import NewOrder, OrderType, TimeInForce

TYPES: Final = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT_MAKER,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}
TYPE_NAMES: Final = {kind: name for name, kind in TYPES.items()}
# Mandatory parameters by order type; others of this kind are refused.
_NEEDS: Final = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("timeInForce", "quantity", "price"),
    OrderType.LIMIT_MAKER: ("quantity", "price"),
    OrderType.STOP: ("quantity", "stopPrice"),
    OrderType.STOP_LIMIT: ("timeInForce", "quantity", "price", "stopPrice"),
    OrderType.TAKE_PROFIT: ("quantity", "stopPrice"),
    OrderType.TAKE_PROFIT_LIMIT: ("timeInForce", "quantity", "price", "stopPrice"),
}
_SHAPING: Final = ("timeInForce", "price", "stopPrice", "quoteOrderQty")
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_CLIENT_ID: Final = re.compile(r"[a-zA-Z0-9\-_.:/]{1,36}", re.ASCII)


class Params:
    """The parameters of one request. It records which were read, because Binance refuses unknown ones."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self.sent = {name: value for name, value in sent.items() if name != "signature"}
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        self._read.add(name)
        return self.sent.get(name)

    def needed(self, name: str) -> str:
        value = self.text(name)
        if value is None or value == "":
            raise errors.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        value = self.text(name)
        if value is None:
            return None
        if value == "":
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        if not _DECIMAL.fullmatch(value):
            raise errors.illegal(name, errors.DECIMAL_RANGE)
        return Decimal(value)

    def needed_decimal(self, name: str) -> Decimal:
        self.needed(name)
        value = self.decimal(name)
        assert value is not None
        return value

    def integer(self, name: str, *, low: int = 0, high: int = 2**63 - 1) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
            raise errors.illegal(name, "^[0-9]{1,20}$")
        if not low <= int(value) <= high:
            raise errors.invalid_data(name)
        return int(value)

    def client_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _CLIENT_ID.fullmatch(value):
            raise errors.illegal(name, errors.CLIENT_ID_RANGE)
        return value

    def ignore(self, *names: str) -> None:
        self._read.update(names)

    def finish(self) -> None:
        """Raises -1104 if a parameter was sent and not read."""
        left = self.sent.keys() - self._read
        if left:
            raise errors.unread(len(self.sent) - len(left), len(self.sent))


def read_order(params: Params, symbol: str, default_client_id: str) -> NewOrder:
    """Parse a place request. Raises ApiError as the venue would."""
    side = _side(params)
    kind = TYPES.get(params.needed("type"))
    if kind is None:
        raise ApiError(-1116, "Invalid orderType.")
    for name in _NEEDS[kind]:
        params.needed(name)
    for name in _SHAPING:
        if name in params.sent and name not in _NEEDS[kind] and not (kind is OrderType.MARKET and name == "quoteOrderQty"):
            raise errors.unneeded(name)
    size, quote_size = params.decimal("quantity"), params.decimal("quoteOrderQty")
    if kind is OrderType.MARKET and (size is None) == (quote_size is None):
        raise errors.missing("quantity") if size is None else ApiError(-1128, "Combination of optional parameters invalid.")
    request = NewOrder(
        symbol=symbol, side=side, type=kind, size=size or Decimal(0), quote_size=quote_size, limit_price=params.decimal("price"),
        stop_price=params.decimal("stopPrice"), tif=read_tif(params.text("timeInForce")),
        client_id=params.client_id("newClientOrderId") or default_client_id,
    )  # fmt: skip
    params.ignore("newOrderRespType", "selfTradePreventionMode", "strategyId", "strategyType")
    params.finish()
    return request


def _side(params: Params) -> Side:
    side = params.needed("side")
    if side not in ("BUY", "SELL"):
        raise ApiError(-1117, "Invalid side.")
    return Side(side.lower())


def read_tif(text: str | None) -> TimeInForce:
    if text is None:
        return TimeInForce.GTC
    if text not in TimeInForce.__members__:
        raise ApiError(-1115, "Invalid timeInForce.")
    return TimeInForce[text]
