"""Orders that belong together: brackets, whose children wait for their parent, and groups of which one is executed only."""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

_LIMITS = (bt.Order.Limit, bt.Order.StopLimit)
_KNOWN: Final = 64  # contingent, and members of groups, before those of which nobody is alive are looked for


class OrderGroups:
    """Remembers who belongs to whom, by order reference. It sends and cancels nothing."""

    def __init__(self) -> None:
        self._children: dict[int, list[Any]] = {}
        self._oco: dict[int, list[Any]] = {}
        self._waiting: dict[int, Any] = {}  # not at the venue: untransmitted parents, children, and limits behind a resting stop

    def add(self, order: Any, oco: Any) -> None:
        """Note the order's parent and its group; contingent and groups of which nobody is alive are let go of."""
        for known in (self._children, self._oco):
            if len(known) > _KNOWN:
                _forget_dead(known)
        if order.parent is not None:
            self._children.setdefault(order.parent.ref, []).append(order)
        group = self._oco.get(oco.ref) if oco is not None else None
        if group is None:
            group = [oco] if oco is not None else []
            if oco is not None:
                self._oco[oco.ref] = group
        if oco is not None:
            group.append(order)
            self._oco[order.ref] = group

    def hold(self, order: Any) -> None:
        """Keep an order here instead of sending it."""
        self._waiting[order.ref] = order

    def release(self, order: Any) -> bool:
        """Let go of an order that was held; False if it was not."""
        return self._waiting.pop(order.ref, None) is not None

    def is_held(self, order: Any) -> bool:
        return order.ref in self._waiting

    def children(self, order: Any) -> list[Any]:
        return self._children.get(order.ref, [])

    def siblings(self, order: Any) -> list[Any]:
        """Those that must not be executed beside `order`."""
        family = self.children(order.parent) if order.parent is not None else []
        return [o for o in [*family, *self._oco.get(order.ref, [])] if o.ref != order.ref]

    def watched(self) -> list[Any]:
        """Held limit orders whose parent has filled: they are sent when the market reaches them."""
        return [o for o in self._waiting.values() if o.parent is not None and o.exectype in _LIMITS and o.active()]

    def forget(self, order: Any) -> None:
        """Drop what is over."""
        self._waiting.pop(order.ref, None)


def _forget_dead(known: dict[int, list[Any]]) -> None:
    for ref in [ref for ref, orders in known.items() if not any(order.alive() for order in orders)]:
        del known[ref]


def share_coins(child: Any, children: list[Any], can_short: bool) -> bool:
    """Whether a sell limit must wait here, since a sibling's stop locks the same coins at a spot venue."""
    stops = any(o.ref != child.ref and o.exectype not in (bt.Order.Limit,) and o.issell() and o.alive() for o in children)
    return not can_short and child.issell() and child.exectype == bt.Order.Limit and stops


def is_reached(order: Any, price: float | None) -> bool:
    """Whether the market has come to a limit order's price."""
    if price is None:
        return False
    limit = order.created.pricelimit or order.created.price
    return bool(price >= limit) if order.issell() else bool(price <= limit)
