"""What becomes of orders that belong together when one of them is over, or when the market reaches one that waits here."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from forwardtrader.core.types import OrderRequest
from forwardtrader.live.bridge.order_groups import Groups, is_reached, share_coins
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, floor_to, is_dust


class Families:
    """Sends, sizes and cancels children, siblings and the limits that wait behind a stop.

    Args:
        broker: a `CCXTBroker`.
    """

    def __init__(self, broker: Any) -> None:
        self.groups = Groups()
        self._broker = broker
        self._relay: dict[int, Any] = {}  # by stop: the limit that is sent once the stop is cancelled

    def over(self, order: Any) -> None:
        """An order is alive no more: its children and siblings follow."""
        self.groups.forget(order)
        filled = abs(order.executed.size)
        for child in self.groups.children(order):
            if child.alive():
                self._activate(child, filled) if filled else self._broker.cancel(child)
        relay = self._relay.pop(order.ref, None)
        if relay is not None and relay.alive() and order.status != bt.Order.Completed:
            self._activate(relay, self._held(order), at_once=True)
        elif filled or order.parent is not None:
            for sibling in self.groups.siblings(order):
                self._broker.cancel(sibling)

    @property
    def reached(self) -> list[Any]:
        """Limits waiting here that the market has come to."""
        prices = self._broker.store.prices
        return [order for order in self.groups.watched() if is_reached(order, prices.get(order.data.symbol))]

    def send_reached(self) -> None:
        """Let them go, in place of the stops that hold their coins."""
        for order in self.reached:
            stops = [o for o in self.groups.siblings(order) if o.alive() and self._broker.is_sent(o)]
            if any(o.ref in self._relay for o in stops):
                continue
            for stop in stops:
                self._relay[stop.ref] = order
                self._broker.cancel(stop)
            if not stops:
                self._activate(order, self._held(order), at_once=True)

    def _held(self, order: Any) -> float:
        return float(abs(self._broker.holdings.held[order.data].size))

    def _activate(self, child: Any, filled: float, *, at_once: bool = False) -> None:
        """Send a child, sized to what its parent filled."""
        rules = context_of(child.data).rules
        child.activate()
        size = floor_to(min(decimal(abs(child.executed.remsize)), decimal(filled)), rules.step)
        if is_dust(size, child.created.price, rules):
            self._broker.refuse(child, "its parent filled too little")
            return
        request: OrderRequest = child.info.request
        sized = OrderRequest(
            symbol=request.symbol, side=request.side, size=size, limit_price=request.limit_price, stop_price=request.stop_price,
            reason=request.reason,
        )  # fmt: skip
        child.addinfo(request=sized)
        child.size = child.executed.remsize = float(size) * (1 if child.isbuy() else -1)
        if at_once or not share_coins(child, self.groups.children(child.parent), rules.can_short):
            self.groups.release(child)
            self._broker.send(child)
