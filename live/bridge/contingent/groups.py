"""Which orders belong together: the children of one parent, and OCO groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import backtrader as bt

from forwardtrader.live.bridge.bt_types import LiveOrder, intent_of
from forwardtrader.strategies.orders.trailing_stops import STOPS

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

    @staticmethod
    def parent_name(order: LiveOrder) -> str:
        """Client id of its parent; "" for none."""
        parent = None if order.parent is None else intent_of(order.parent)
        return "" if parent is None else parent.client_id

    def group_name(self, order: LiveOrder) -> str:
        """What names its OCO group in the journal: the client id of the first order of it; "" for an order that stands alone so far."""
        known = [intent for each in self._oco.get(order.ref, []) if each.ref != order.ref and (intent := intent_of(each)) is not None]
        return known[0].group or known[0].client_id if known else ""

    def watched(self) -> list[LiveOrder]:
        """Held orders that are sent when the market reaches them: children whose parent has filled, and members of an OCO group."""
        return [o for o in self._waiting.values() if o.active() and (o.parent is not None or o.transmit)]


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
