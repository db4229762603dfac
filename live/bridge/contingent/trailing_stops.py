"""Trailing stops at a venue that knows none: a stop order rests there, and is moved when a bar has closed that moves it.

To be moved it makes room for itself: where it stands next is in the journal before its cancel is sent, and it is sent again as soon as it
is off the venue. Should the market have passed it meanwhile, it goes as a market order; should the process end meanwhile, the next start
sends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import backtrader as bt

from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent, set_intent
from forwardtrader.live.execution.events import Intent, Trail
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, is_dust
from forwardtrader.strategies.orders.trailing_stops import TRAILING, has_traded, is_touched, move

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker
    from forwardtrader.live.bridge.contingent.orders import ContingentOrders


class TrailingStops:
    """Moves the trailing stops of one broker."""

    def __init__(self, orders: ContingentOrders, broker: CCXTBroker) -> None:
        self._orders = orders
        self._broker = broker
        self._followed: dict[int, int] = {}  # by order: the newest bar that it has followed

    def follow(self) -> None:
        """Move the orders by bars that are new; what is at the venue stays as it is."""
        for order in self._active():
            bar, last = _bar_of(order), self._followed.setdefault(order.ref, self._last_followed(order))
            if bar > last:
                self._followed[order.ref] = bar
                if has_traded(order.data):
                    self._move(order)

    def place(self) -> None:
        """Have what has moved rest at its new price."""
        for order in [] if self._broker.halted else list(self._active()):
            moved = self.as_moved(order)
            if not order.data.is_current or order.executed.size or moved.request == known_intent(order).request:
                continue
            if self._orders.rests(order):
                if not self._orders.is_making_room(order):
                    self._orders.make_room(order, order)
            elif self._orders.is_held(order):
                self._orders.journal.amend(moved)
                set_intent(order, moved)

    def go_on(self, order: LiveOrder) -> None:
        """Send an order without a parent that made room for itself."""
        size = self._orders.sellable(order, decimal(abs(order.executed.remsize)))
        if is_dust(size, order.created.price, context_of(order.data).rules):
            self._orders.cancel(order)
        else:
            self._orders.send_sized(order, size)

    def as_moved(self, order: LiveOrder) -> Intent:
        """The intent of an order with the prices that it has now; of one that does not trail, as it is."""
        intent = known_intent(order)
        if intent.trail is None:
            return intent
        limit = None if intent.request.limit_price is None else decimal(float(order.created.pricelimit or 0.0))
        request = replace(intent.request, stop_price=decimal(float(order.created.price)), limit_price=limit)
        return replace(intent, request=request, trail=replace(intent.trail, since=self._followed.get(order.ref, intent.trail.since)))

    def name_of(self, order: LiveOrder) -> str:
        """The client id under which an order goes on."""
        return self._broker.intents.moved_id(_bar_of(order) if len(order.data) else known_intent(order).bar)

    def is_triggered(self, order: LiveOrder) -> bool:
        """Whether the market has reached a trailing stop with a limit, so that its limit rests."""
        return order.exectype in TRAILING and order.triggered

    def forget(self, order: LiveOrder) -> None:
        """An order is alive no more."""
        self._followed.pop(order.ref, None)

    def _active(self) -> Iterator[LiveOrder]:
        """Trailing orders that are alive and wait for no parent."""
        return (order for order in self._broker.get_orders_open() if order.exectype in TRAILING and order.active() and len(order.data))

    def _move(self, order: LiveOrder) -> None:
        if order.triggered:
            return
        has_limit = order.exectype == bt.Order.StopTrailLimit
        order.triggered = has_limit and is_touched(order)
        if has_limit or not is_touched(order):  # Backtrader moves a limit once more in the bar that triggers it
            move(order)

    def _last_followed(self, order: LiveOrder) -> int:
        """The bar that an order was decided on, was moved by, or, of a child, whose parent was executed in."""
        intent, data = known_intent(order), order.data
        if intent.trail is None or intent.trail.since or order.parent is None:
            return intent.trail.since if intent.trail is not None and intent.trail.since else intent.bar
        fills = self._orders.journal.executions(known_intent(order.parent).client_id)
        last = fills[-1].at if fills else intent.bar
        return last - last % data.step_ms + data.step_ms - self._broker.store.shortest_ms


def trail_of(order: LiveOrder) -> Trail | None:
    """How a new order trails; None for one that does not."""
    if order.exectype not in TRAILING:
        return None
    return Trail(amount=float(order.trailamount or 0.0), percent=float(order.trailpercent or 0.0), offset=float(order._limitoffset))


def _bar_of(order: LiveOrder) -> int:
    return round(epoch_seconds(order.data.datetime[0]) * 1000)
