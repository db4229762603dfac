"""Request handlers of Binance's order lists: OCO, OTO and OTOCO."""

from __future__ import annotations

from typing import Any, Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.handlers import PLACE, BinanceAction, BinanceHandlers, within
from forwardtrader.sandbox.binance.params import TYPES, Params, read_tif
from forwardtrader.sandbox.orders.order import WITH_LIMIT, WITH_TRIGGER, NewOrder, OrderType
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.venue import ACCOUNT

ABOVE: Final = {
    Side.SELL: (OrderType.LIMIT_MAKER, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT),
    Side.BUY: (OrderType.STOP, OrderType.STOP_LIMIT),
}
BELOW: Final = {Side.SELL: ABOVE[Side.BUY], Side.BUY: ABOVE[Side.SELL]}
EXTRAS: Final = ("IcebergQty", "StrategyId", "StrategyType", "TrailingDelta")
WORKING: Final = (OrderType.LIMIT, OrderType.LIMIT_MAKER)
ALL_TYPES: Final = tuple(OrderType)


class OrderListHandlers:
    """Handlers of all order list requests."""

    def __init__(self, handlers: BinanceHandlers) -> None:
        self._handlers = handlers
        self._exchange = handlers.venue.exchange

    def place_oco(self, params: Params) -> Any:
        symbol = self._handlers.symbol(params.needed("symbol"))
        side, size = read_side(params, "side"), params.needed_decimal("quantity")
        above = self._leg(params, symbol, side, "above", size, ABOVE[side])
        below = self._leg(params, symbol, side, "below", size, BELOW[side])
        return self._place(params, [above, below], None)

    def place_old_oco(self, params: Params) -> Any:
        """The older form: one price, one stop price, and with `stopLimitPrice` a stop limit."""
        symbol = self._handlers.symbol(params.needed("symbol"))
        side, size = read_side(params, "side"), params.needed_decimal("quantity")
        stop_limit = params.decimal("stopLimitPrice")
        limit = NewOrder(
            symbol=symbol, side=side, type=OrderType.LIMIT_MAKER, size=size, limit_price=params.needed_decimal("price"),
            client_id=params.client_id("limitClientOrderId") or self._handlers.generated_id(),
        )  # fmt: skip
        stop = NewOrder(
            symbol=symbol, side=side, type=OrderType.STOP if stop_limit is None else OrderType.STOP_LIMIT, size=size,
            limit_price=stop_limit, stop_price=params.needed_decimal("stopPrice"), tif=read_tif(params.text("stopLimitTimeInForce")),
            client_id=params.client_id("stopClientOrderId") or self._handlers.generated_id(),
        )  # fmt: skip
        return self._place(params, [limit, stop] if side is Side.SELL else [stop, limit], None)

    def place_oto(self, params: Params) -> Any:
        symbol = self._handlers.symbol(params.needed("symbol"))
        working = self._working(params, symbol)
        side, size = read_side(params, "pendingSide"), params.needed_decimal("pendingQuantity")
        return self._place(params, [self._leg(params, symbol, side, "pending", size, ALL_TYPES)], working)

    def place_otoco(self, params: Params) -> Any:
        symbol = self._handlers.symbol(params.needed("symbol"))
        working = self._working(params, symbol)
        side, size = read_side(params, "pendingSide"), params.needed_decimal("pendingQuantity")
        above = self._leg(params, symbol, side, "pendingAbove", size, ABOVE[side])
        below = self._leg(params, symbol, side, "pendingBelow", size, BELOW[side])
        return self._place(params, [above, below], working)

    def query(self, params: Params) -> Any:
        return described(self._found(params, errors.QUERY))

    def cancel(self, params: Params) -> Any:
        params.ignore("symbol")
        group = self._found(params, errors.CANCEL)
        cancel_id = params.client_id("newClientOrderId") or self._handlers.generated_id()
        if group.done:
            raise ApiError(-2011, "Unknown order list sent.")
        for order in group.orders:
            if order.is_open:
                self._exchange.cancel(order, cancel_id)
        return described(group) | {"orderReports": [form.order_canceled(o) for o in group.orders]}

    def open_lists(self, params: Params) -> Any:
        return [described(group) for group in self._exchange.lists.values() if not group.done]

    def all_lists(self, params: Params) -> Any:
        first, limit = params.integer("fromId"), params.integer("limit", high=1000) or 500
        start, end = params.integer("startTime"), params.integer("endTime")
        groups = [g for g in self._exchange.lists.values() if within(g.placed_at, start, end) and g.id >= (first or 0)]
        return [described(group) for group in groups[:limit]]

    def _leg(self, params: Params, symbol: str, side: Side, prefix: str, size: Any, allowed: tuple[OrderType, ...]) -> NewOrder:
        return leg(params, self._handlers.generated_id(), symbol, side, prefix, size, allowed)

    def _working(self, params: Params, symbol: str) -> NewOrder:
        side, size = read_side(params, "workingSide"), params.needed_decimal("workingQuantity")
        return self._leg(params, symbol, side, "working", size, WORKING)

    def _place(self, params: Params, legs: list[NewOrder], working: NewOrder | None) -> Any:
        client_id = params.client_id("listClientOrderId") or self._handlers.generated_id()
        params.ignore("newOrderRespType", "selfTradePreventionMode")
        params.finish()
        group = self._handlers.translated(lambda: self._exchange.place_list(ACCOUNT, legs, working=working, client_id=client_id))
        return described(group) | {"orderReports": [form.order_result(order) for order in group.orders]}

    def _found(self, params: Params, doing: str) -> OrderList:
        number, client_id = params.integer("orderListId"), params.text("origClientOrderId") or params.text("listClientOrderId")
        for group in self._exchange.lists.values():
            if group.id == number or (number is None and group.client_id == client_id):
                return group
        if doing == errors.CANCEL:
            raise ApiError(-2011, "Unknown order list sent.")
        raise ApiError(-2018, "Order list does not exist.")


def leg(params: Params, default_id: str, symbol: str, side: Side, prefix: str, size: Any, allowed: tuple[OrderType, ...]) -> NewOrder:
    """One order of a list; its parameters carry `prefix`."""
    kind = TYPES.get(params.needed(f"{prefix}Type"))
    if kind is None or kind not in allowed:
        raise ApiError(-1116, "Invalid orderType.")
    price, stop = params.decimal(f"{prefix}Price"), params.decimal(f"{prefix}StopPrice")
    for name, value, wanted in ((f"{prefix}Price", price, kind in WITH_LIMIT), (f"{prefix}StopPrice", stop, kind in WITH_TRIGGER)):
        if wanted and value is None:
            raise errors.missing(name)
        if value is not None and not wanted:
            raise errors.unneeded(name)
    tif = read_tif(params.text(f"{prefix}TimeInForce"))
    params.ignore(*(f"{prefix}{extra}" for extra in EXTRAS))
    client_id = params.client_id(f"{prefix}ClientOrderId") or default_id
    return NewOrder(
        symbol=symbol, side=side, type=kind, size=size, limit_price=price, stop_price=stop, tif=tif, client_id=client_id
    )  # fmt: skip


def read_side(params: Params, name: str) -> Side:
    side = params.needed(name)
    if side not in ("BUY", "SELL"):
        raise ApiError(-1117, "Invalid side.")
    return Side(side.lower())


def described(group: OrderList) -> form.Payload:
    """The list as every answer about it begins."""
    symbol = form.ident(group.symbol)
    return {
        "orderListId": group.id,
        "contingencyType": "OTO" if group.working else "OCO",
        "listStatusType": "ALL_DONE" if group.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if group.done else "EXECUTING",
        "listClientOrderId": group.client_id,
        "transactionTime": group.placed_at,
        "symbol": symbol,
        "orders": [{"symbol": symbol, "orderId": o.id, "clientOrderId": o.request.client_id} for o in group.orders],
    }


def list_status(group: OrderList, at: int) -> form.Payload:
    """The `listStatus` event of the user data stream."""
    summary = described(group)
    return {
        "e": "listStatus", "E": at, "s": summary["symbol"], "g": group.id, "c": summary["contingencyType"], "l": summary["listStatusType"],
        "L": summary["listOrderStatus"], "r": "NONE", "C": group.client_id, "T": at,
        "O": [{"s": o["symbol"], "i": o["orderId"], "c": o["clientOrderId"]} for o in summary["orders"]],
    }  # fmt: skip


def list_actions(handlers: BinanceHandlers) -> tuple[dict[tuple[str, str], BinanceAction], dict[str, BinanceAction]]:
    """The actions of order lists by REST path, and by WebSocket API method."""
    lists = OrderListHandlers(handlers)
    oco, old, oto, otoco = (
        BinanceAction(place, 1, PLACE, signed=True) for place in (lists.place_oco, lists.place_old_oco, lists.place_oto, lists.place_otoco)
    )
    query, cancel = BinanceAction(lists.query, 4, "query", signed=True), BinanceAction(lists.cancel, 1, "cancel", signed=True)
    open_lists = BinanceAction(lists.open_lists, 6, "orders", signed=True)
    all_lists = BinanceAction(lists.all_lists, 20, "orders", signed=True)
    rest = {
        ("POST", "orderList/oco"): oco, ("POST", "order/oco"): old, ("POST", "orderList/oto"): oto, ("POST", "orderList/otoco"): otoco,
        ("GET", "orderList"): query, ("DELETE", "orderList"): cancel, ("GET", "openOrderList"): open_lists,
        ("GET", "allOrderList"): all_lists,
    }  # fmt: skip
    socket = {
        "orderList.place.oco": oco, "orderList.place": old, "orderList.place.oto": oto, "orderList.place.otoco": otoco,
        "orderList.status": query, "orderList.cancel": cancel, "openOrderLists.status": open_lists, "allOrderLists": all_lists,
    }  # fmt: skip
    return rest, socket
