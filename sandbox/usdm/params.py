"""Request parameters of Binance USD-M's orders: parsing and validation as at the venue."""

from __future__ import annotations

from typing import Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.params import Params, read_tif
from forwardtrader.sandbox.orders.order import NewOrder, OrderType, TimeInForce
from forwardtrader.sandbox.usdm.errors import SWITCH_TO_ALGO

PLAIN: Final = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT}
CONDITIONAL: Final = {
    "STOP_MARKET": OrderType.STOP,
    "STOP": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT_LIMIT,
}
TYPE_NAMES: Final = {
    **{kind: name for name, kind in (PLAIN | CONDITIONAL).items()},
    OrderType.LIMIT_MAKER: "LIMIT",
}
POST_ONLY: Final = "GTX"
_ECHOED: Final = ("newOrderRespType", "selfTradePreventionMode", "priceProtect", "workingType")


def read_order(params: Params, symbol: str, default_client_id: str, *, hedged: bool) -> NewOrder:
    """Parse a request of `POST order`. Raises ApiError as the venue would."""
    kind_name = params.needed("type")
    if kind_name in CONDITIONAL or kind_name == "TRAILING_STOP_MARKET":
        raise SWITCH_TO_ALGO
    kind, tif = PLAIN.get(kind_name), params.text("timeInForce")
    if kind is None:
        raise ApiError(-1116, "Invalid orderType.")
    if kind is OrderType.LIMIT:
        params.needed("timeInForce")
        params.needed("price")
        kind = OrderType.LIMIT_MAKER if tif == POST_ONLY else kind
    elif "price" in params.sent:
        raise errors.unneeded("price")
    request = NewOrder(
        symbol=symbol, side=_side(params), type=kind, size=params.needed_decimal("quantity"), limit_price=params.decimal("price"),
        tif=TimeInForce.GTC if tif == POST_ONLY else read_tif(tif), reduce_only=_switch(params, "reduceOnly"),
        client_id=params.client_id("newClientOrderId") or default_client_id,
    )  # fmt: skip
    _finish(params, hedged)
    return request


def read_algo_order(params: Params, symbol: str, default_client_id: str, *, hedged: bool) -> NewOrder:
    """Parse a request of `POST algoOrder`: a conditional order. Raises ApiError as the venue would."""
    if params.needed("algoType") != "CONDITIONAL":
        raise errors.invalid_data("algoType")
    kind = CONDITIONAL.get(params.needed("type"))
    if kind is None:
        raise ApiError(-1116, "Invalid orderType.")
    if kind in (OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT):
        params.needed("price")
    elif "price" in params.sent:
        raise errors.unneeded("price")
    request = NewOrder(
        symbol=symbol, side=_side(params), type=kind, size=params.needed_decimal("quantity"), limit_price=params.decimal("price"),
        stop_price=params.needed_decimal("triggerPrice"), tif=read_tif(params.text("timeInForce")),
        reduce_only=_switch(params, "reduceOnly"), client_id=params.client_id("clientAlgoId") or default_client_id,
    )  # fmt: skip
    _finish(params, hedged)
    return request


def _side(params: Params) -> Side:
    side = params.needed("side")
    if side not in ("BUY", "SELL"):
        raise ApiError(-1117, "Invalid side.")
    return Side(side.lower())


def _switch(params: Params, name: str) -> bool:
    value = (params.text(name) or "false").lower()
    if value not in ("true", "false"):
        raise errors.invalid_data(name)
    return value == "true"


def _finish(params: Params, hedged: bool) -> None:
    if ((params.text("positionSide") or "BOTH") == "BOTH") is hedged:
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    params.ignore(*_ECHOED)
    params.finish()
