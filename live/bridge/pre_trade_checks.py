"""Whether an order may go to the venue, and as what: the live broker's part of what `strategies.order_rules` decides for all brokers."""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import OrderRefusal, RawOrder, normalise

STOPS: Final = (bt.Order.Stop, bt.Order.StopLimit)
_SENDABLE: Final = (None, bt.Order.Market, bt.Order.Close, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit)


def admitted(
    broker: Any, kind: Any, data: Any, size: float, price: Any, plimit: Any, exectype: Any, oco: Any, parent: Any, info: dict[str, Any]
) -> OrderRequest | OrderRefusal:
    """The order as the venue would take it, or why a `CCXTBroker` does not send it; arguments as Backtrader gives them."""
    side = Side.BUY if kind is BuyOrder else Side.SELL
    reason = _objection(broker, data, exectype, side, parent)
    if reason:
        return OrderRefusal(reason)
    raw = RawOrder(
        side=side,
        size=abs(size),
        reference=data.close[0],
        limit_price=price if exectype == bt.Order.Limit else plimit if exectype == bt.Order.StopLimit else None,
        stop_price=price if exectype in STOPS else None,
        reason=str(info.get("reason", "")),
    )
    return normalise(raw, context_of(data).rules, sellable=sellable(broker, data, oco=oco, parent=parent))


def sellable(broker: Any, data: Any, *, oco: Any = None, parent: Any = None) -> float:
    """Base units that a new sell order may have: held, and not locked by other sell orders at the venue."""
    groups = broker.families.groups
    held = float(broker.holdings.held[data].size)
    if parent is not None and parent.alive():
        held += float(parent.executed.remsize)
    spared = {order.ref for order in (groups.children(parent) if parent is not None else ())}
    if oco is not None:
        spared |= {oco.ref, *(order.ref for order in groups.siblings(oco))}
    for order in broker.get_orders_open():
        if order.data is data and order.issell() and order.ref not in spared and not broker.is_leaving(order):
            held += float(order.executed.remsize) if not groups.is_held(order) else 0.0
    return held


def _objection(broker: Any, data: Any, exectype: Any, side: Side, parent: Any) -> str:
    if broker.halted:
        return str(broker.halted)
    if exectype not in _SENDABLE:
        return "trailing orders cannot be left at a venue; move a stop order from bar to bar instead"
    if not data.is_current:
        return "the bar is old: the market has moved on"
    if broker.muted and side is Side.BUY:
        return "the session is paused"
    if side is Side.BUY and (doubt := broker.store.doubt_about(data.symbol)):
        return str(doubt)
    if parent is not None and not parent.alive():
        return "its parent order is not alive"
    return ""
