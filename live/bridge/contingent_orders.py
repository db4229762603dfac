"""Contingent orders: brackets, whose children wait for their parent, and OCO groups, of which only one order is executed.

On a spot market two sell orders at the venue lock the same coins twice. So only one of them rests there, and the other waits here until the
market reaches its price; then it takes the place of the one that rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import backtrader as bt

from forwardtrader.live.bridge.bt_types import LiveOrder, request_of
from forwardtrader.live.bridge.pre_trade_checks import STOPS
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, floor_to, is_dust

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_LIMITS: Final = (bt.Order.Limit, bt.Order.StopLimit)
_CANCELLED: Final = (bt.Order.Canceled, bt.Order.Expired)
_KNOWN: Final = 64  # families, and members of groups, before those of which nobody is alive are looked for
GroupKey: TypeAlias = tuple[str, int]


class OrderGroups:
    """Which orders belong together, by order reference. It sends and cancels nothing."""

    def __init__(self) -> None:
        self._children: dict[int, list[LiveOrder]] = {}
        self._oco: dict[int, list[LiveOrder]] = {}
        self._waiting: dict[int, LiveOrder] = {}  # not at the venue: untransmitted parents, children, and those behind a resting sibling

    def add(self, order: LiveOrder, oco: LiveOrder | None) -> None:
        """Note the order's parent and its group; families and groups of which nobody is alive are forgotten."""
        for known in (self._children, self._oco):
            if len(known) > _KNOWN:
                _forget_dead(known)
        if order.parent is not None:
            self._children.setdefault(order.parent.ref, []).append(order)
        if oco is not None:
            group = self._oco.setdefault(oco.ref, [oco])
            group.append(order)
            self._oco[order.ref] = group

    def hold(self, order: LiveOrder) -> None:
        """Keep an order here instead of sending it."""
        self._waiting[order.ref] = order

    def release(self, order: LiveOrder) -> bool:
        """Let go of an order that was held; False if it was not."""
        return self._waiting.pop(order.ref, None) is not None

    def is_held(self, order: LiveOrder) -> bool:
        return order.ref in self._waiting

    def children(self, order: LiveOrder) -> list[LiveOrder]:
        return self._children.get(order.ref, [])

    def siblings(self, order: LiveOrder) -> list[LiveOrder]:
        """Those that must not be executed beside `order`."""
        family = self.children(order.parent) if order.parent is not None else []
        return [o for o in [*family, *self._oco.get(order.ref, [])] if o.ref != order.ref]

    def group_of(self, order: LiveOrder) -> GroupKey:
        """A key that is equal for orders of which only one can be executed."""
        if order.parent is not None:
            return self.family_of(order.parent)
        return "oco", self._oco.get(order.ref, [order])[0].ref

    @staticmethod
    def family_of(parent: LiveOrder) -> GroupKey:
        """The key of the children of `parent`."""
        return "parent", parent.ref

    def watched(self) -> list[LiveOrder]:
        """Held orders that are sent when the market reaches them: limits whose parent has filled, and members of an OCO group."""
        return [o for o in self._waiting.values() if o.active() and (o.exectype in _LIMITS if o.parent is not None else o.transmit)]


class ContingentOrders(OrderGroups):
    """Sends, sizes and cancels children, siblings, and those that wait for the market."""

    def __init__(self, broker: CCXTBroker) -> None:
        super().__init__()
        self._broker = broker
        self._replacing: dict[int, LiveOrder] = {}  # by resting order: the one that is sent once it is cancelled

    def must_wait(self, order: LiveOrder) -> bool:
        """Whether a member of an OCO group waits here, since another one locks the same coins at a spot venue."""
        is_spot_sell = order.issell() and not context_of(order.data).rules.can_short
        return is_spot_sell and order.parent is None and any(self._rests(o) and o.issell() for o in self.siblings(order))

    def over(self, order: LiveOrder) -> None:
        """An order is alive no more: its children and siblings follow."""
        self.release(order)
        filled = abs(order.executed.size)
        for child in self.children(order):
            if child.alive():
                self._activate(child, filled) if filled else self._broker.cancel(child)
        replacement = self._replacing.pop(order.ref, None)
        if replacement is not None and replacement.alive() and order.status != bt.Order.Completed:
            self._send_reached(replacement)
        elif filled or order.parent is not None or order.status in _CANCELLED:
            for sibling in self.siblings(order):
                self._broker.cancel(sibling)

    @property
    def reached(self) -> list[LiveOrder]:
        """Orders waiting here whose price the market has reached."""
        prices = self._broker.store.prices
        return [order for order in self.watched() if is_reached(order, prices.get(order.data.symbol))]

    def send_reached(self) -> None:
        """Send them, in place of the siblings that lock their coins."""
        for order in self.reached:
            resting = [o for o in self.siblings(order) if self._rests(o)]
            if any(o.ref in self._replacing for o in resting):
                continue
            for sibling in resting:
                self._replacing[sibling.ref] = order
                self._broker.cancel(sibling)
            if not resting:
                self._send_reached(order)

    def _rests(self, order: LiveOrder) -> bool:
        return order.alive() and self._broker.is_sent(order)

    def _send_reached(self, order: LiveOrder) -> None:
        if order.exectype in STOPS and order.parent is None:
            order.addinfo(request=replace(request_of(order), stop_price=None))  # triggered here; a venue refuses a stop beyond the price
        self._activate(order, abs(self._broker.units_held(order.data)), at_once=True)

    def _activate(self, child: LiveOrder, filled: float, *, at_once: bool = False) -> None:
        """Send a child, sized to what its parent filled."""
        rules = context_of(child.data).rules
        child.activate()
        size = floor_to(min(decimal(abs(child.executed.remsize)), decimal(filled)), rules.step)
        if is_dust(size, child.created.price, rules):
            self._broker.refuse(child, "its parent filled too little")
            return
        child.addinfo(request=replace(request_of(child), size=size))
        child.size = child.executed.remsize = float(size) * (1 if child.isbuy() else -1)
        siblings = self.children(child.parent) if child.parent is not None else []
        if at_once or not share_coins(child, siblings, rules.can_short):
            self.release(child)
            self._broker.send(child)


def _forget_dead(known: dict[int, list[LiveOrder]]) -> None:
    for ref in [ref for ref, orders in known.items() if not any(order.alive() for order in orders)]:
        del known[ref]


def share_coins(child: LiveOrder, children: Sequence[LiveOrder], can_short: bool) -> bool:
    """Whether a sell limit must wait here, since a sibling's stop locks the same coins at a spot venue."""
    stops = any(o.ref != child.ref and o.exectype != bt.Order.Limit and o.issell() and o.alive() for o in children)
    return not can_short and child.issell() and child.exectype == bt.Order.Limit and stops


def is_reached(order: LiveOrder, price: float | None) -> bool:
    """Whether the market has reached the price of a limit or stop order."""
    if price is None:
        return False
    if order.exectype in STOPS:
        return price <= order.created.price if order.issell() else price >= order.created.price
    return price >= order.created.price if order.issell() else price <= order.created.price
