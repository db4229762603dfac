"""Pre-trade checks: whether an order may go to the venue, and as what. The live broker's part of `strategies.order_rules`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import backtrader as bt

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.bt_types import LiveOrder
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.execution.events import NEVER_ARRIVED
from forwardtrader.strategies.backtrader.guarded_orders import objection
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import OrderRefusal, RestingSell, adds_exposure, normalise, sellable
from forwardtrader.strategies.orders.families import PARENT_OVER
from forwardtrader.strategies.orders.trailing_stops import STOPS, raw_order

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

OLD_BAR: Final = "the bar is old: the market has moved on"
EVERY_SYMBOL: Final = "*"  # in the place of a symbol: the bar itself was old
UNSENT: Final = (OLD_BAR, NEVER_ARRIVED)  # refusals of orders that no venue has seen
_SENDABLE: Final = (None, bt.Order.Market, bt.Order.Limit, *STOPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """An order as a strategy asks for it, in Backtrader's terms: `price` is the stop price of a stop order, `plimit` its limit; a trailing
    stop hangs from `price`."""

    side: Side
    data: CCXTData
    size: float
    price: float | None
    plimit: float | None
    exectype: int | None
    oco: LiveOrder | None
    parent: LiveOrder | None
    reason: str
    role: str = ""
    trailamount: float | None = None
    trailpercent: float | None = None


def check(broker: CCXTBroker, order: OrderTicket) -> OrderRequest | OrderRefusal:
    """The order as the venue would take it, or why it cannot; `blocked` says whether it may go now."""
    if objection := _objection(broker, order):
        return OrderRefusal(objection)
    raw = raw_order(
        order.side, order.data, order.size, order.price, order.plimit, order.exectype, reason=order.reason, trailamount=order.trailamount,
        trailpercent=order.trailpercent,
    )  # fmt: skip
    return normalise(raw, context_of(order.data).rules, sellable=free_units(broker, order))


def limited(broker: CCXTBroker, order: OrderTicket, request: OrderRequest) -> str:
    """Why the account's limits refuse an order; asked first of all, as the paper broker asks, so that both count the same orders."""
    return objection(broker, order.data, request, exectype=order.exectype, parent=order.parent, oco=order.oco, role=order.role)


def blocked(broker: CCXTBroker, order: OrderTicket, request: OrderRequest) -> str:
    """Why an order that the venue would take is not sent now; "" for one that is.

    Apart from `check`, so that a blocked order has the size and prices that it would have had: those that a replay records.
    """
    data = order.data
    if broker.halted or not adds_exposure(broker.units_held(data) + _incoming(order), request.side, request.size):
        return broker.halted
    return entry_objection(broker, data)


def entry_objection(broker: CCXTBroker, data: CCXTData) -> str:
    """Why nothing may add exposure now; "" where it may."""
    return "the session is paused" if broker.entries_blocked else _missing(broker, data) or broker.store.entry_objection(data.symbol)


def _missing(broker: CCXTBroker, data: CCXTData) -> str:
    reason = broker.unprotected.get(data.symbol)
    return f"an order that protects the position is missing ({reason}); see to it, then resume" if reason else ""


def free_units(broker: CCXTBroker, order: OrderTicket) -> float:
    """Base units that a new sell order may have: held, or still to be bought by its parent, and not locked by other sell orders."""
    contingent = broker.contingent
    resting = [
        RestingSell(-float(each.executed.remsize), contingent.group_of(each))
        for each in broker.get_orders_open()
        if each.data is order.data and each.issell() and each.active() and not broker.is_cancelling(each)
    ]
    group = contingent.family_of(order.parent) if order.parent is not None else None
    if order.oco is not None:
        group = contingent.group_of(order.oco)
    return sellable(broker.units_held(order.data), resting, group=group, incoming=_incoming(order))


def _incoming(order: OrderTicket) -> float:
    return float(order.parent.executed.remsize) if order.parent is not None and order.parent.alive() else 0.0


def _objection(broker: CCXTBroker, order: OrderTicket) -> str:
    if order.exectype == bt.Order.Close:
        return "a market on close order waits for the end of the day, which the venue does not know; send a market order at the bar meant"
    if order.exectype not in _SENDABLE:
        return "no venue takes an order of this kind"
    if not order.data.is_current:
        return OLD_BAR
    if order.parent is not None and not order.parent.alive():
        return PARENT_OVER
    return ""
