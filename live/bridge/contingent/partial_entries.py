"""Entries that are executed in part and rest on: their stop is at the venue for that part, and grows with it.

| the entry | its stop |
|---|---|
| has the first part that can be sold | is sent for that part |
| has so much more that a fifth of the position is not covered | makes room for itself, larger |
| is over | covers what was delivered, exactly |
| rests on when its stop is executed | the entry is cancelled; what it delivered beyond is sold at the market |
| rests on when the market reaches the limit of the bracket | the entry is cancelled; then the limit takes the place of the stop |

A stop sent for a part is an intent of its own, in the place of the one that was decided on, which keeps its whole size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import backtrader as bt

from forwardtrader.core.types import MarketRules
from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent
from forwardtrader.live.bridge.contingent.groups import is_reached
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, is_dust
from forwardtrader.strategies.orders.trailing_stops import STOPS

if TYPE_CHECKING:
    from forwardtrader.live.bridge.contingent.orders import ContingentOrders

_RESTING: Final = (bt.Order.Limit, *STOPS)
UNCOVERED: Final = Decimal("0.2")  # of a position, from which on its stop grows: whenever it does, it is off the venue for a moment


class PartialEntries:
    """Keeps the stops of entries that are executed in part as large as what they protect.

    Attributes:
        restored: stops of an earlier process that rest for a part; whether they must grow is seen when its bars are over.
    """

    def __init__(self, orders: ContingentOrders) -> None:
        self._orders = orders
        self.restored: list[LiveOrder] = []

    def look_at_restored(self) -> None:
        """Have stops of an earlier process grow, now that nothing delays their coming back to the venue."""
        stops, self.restored = self.restored, []
        for stop in stops:
            if stop.parent is not None:
                self.cover(self._orders.children(stop.parent), at_once=True)

    def reached_targets(self, waiting: Iterable[LiveOrder], prices: Mapping[str, float]) -> list[LiveOrder]:
        """Entries that were executed in part and rest, of which the market has reached the limit: their rest is not wanted any more."""
        return [
            entry
            for order in waiting
            if order.exectype == bt.Order.Limit
            and (entry := order.parent) is not None
            and entry.exectype in _RESTING
            and entry.executed.size
            and self._orders.rests(entry)
            and is_reached(order, prices.get(order.data.symbol))
        ]

    def on_fill(self, order: LiveOrder) -> None:
        """A part of an order was executed, and it is alive still."""
        children = self._orders.children(order)
        if children:
            self.cover(children)
        elif order.parent is not None:
            self._on_child(order.parent, order)

    def on_end(self, children: Sequence[LiveOrder]) -> None:
        """The parent of some orders is over: those at the venue, sent for a part, get their size for good."""
        for child in children:
            if child.alive() and self._orders.rests(child):
                self.take_size(child)
        self.cover(children, at_once=True)

    def cover(self, children: Sequence[LiveOrder], *, at_once: bool = False) -> None:
        """Send the stop among some children, or have it grow, as far as what their parent delivered requires it."""
        stop = next((child for child in children if child.alive() and child.exectype in STOPS), None)
        if stop is None or self._orders.taken(stop):  # the rest of one that is executed goes when its parent is over
            return
        if any(self._orders.rests(sibling) for sibling in self._orders.siblings(stop)):
            return  # which locks the coins
        orders, wanted = self._orders, self.size_of(stop)
        if orders.is_held(stop) and not at_once:
            if not is_dust(wanted, stop.created.price, _rules(stop)):
                self.send(stop, wanted)
        elif orders.rests(stop) and not known_intent(stop).triggered and not orders.is_making_room(stop):
            lacking = wanted - known_intent(stop).request.size
            if lacking > 0 and (at_once or self._is_worth_it(stop, lacking, wanted)):
                orders.make_room(stop, stop)

    def send(self, stop: LiveOrder, size: Decimal) -> None:
        """Send a stop that waits here for a part of its size."""
        orders, planned = self._orders, known_intent(stop)
        if not planned.replaces:
            orders.go_on_as(stop, orders.renewed(stop, triggered=planned.triggered), instead=True)
        stop.activate()
        orders.send_sized(stop, size)

    def size_of(self, child: LiveOrder) -> Decimal:
        """Base units that a child may have at the venue: what its parent delivered, less what its family sold of that."""
        return self._orders.sellable(child, decimal(self._orders.left(child)))

    def take_size(self, child: LiveOrder) -> None:
        """Have an order ask for no more than its parent delivered; what is at the venue stays as it is."""
        child.executed.remsize = float(self.size_of(child) + self._orders.untold(child)) * (1 if child.isbuy() else -1)
        child.size = child.executed.size + child.executed.remsize

    def _is_worth_it(self, stop: LiveOrder, lacking: Decimal, wanted: Decimal) -> bool:
        return lacking >= UNCOVERED * wanted and not is_dust(lacking, stop.created.price, _rules(stop))

    def _on_child(self, parent: LiveOrder, child: LiveOrder) -> None:
        """An order that protects a part was executed: the entry is not wanted any more, and what it brought beyond is sold."""
        orders, intent = self._orders, known_intent(child)
        if parent.alive():
            orders.cancel(parent)
        # The journal may know of more than the first execution of several: how much is left to sell is known with the last of them.
        if not orders.untold(child) and is_executed(orders.journal, intent):
            orders.stay(child)
            orders.go_on_as(child, orders.renewed(child, triggered=True))
            if not parent.alive():
                self.finish(child)

    def go_on(self, stop: LiveOrder) -> None:
        """Send a stop again that made room for itself."""
        if stop.parent is None:
            self._orders.trailing.go_on(stop)
            return
        size = self.size_of(stop)
        if not stop.parent.alive():
            self.finish(stop)
        elif not is_dust(size, stop.created.price, _rules(stop)):
            self._orders.send_sized(stop, size)

    def finish(self, child: LiveOrder) -> None:
        """Sell what is left of a position whose stop was executed in part, or complete that stop."""
        size = self.size_of(child)
        if is_dust(size, child.created.price, _rules(child)):
            self._orders.complete(child)
        else:
            self._orders.send_sized(child, size)


def is_executed(journal: Journal, intent: Intent) -> bool:
    """Whether all of an intent was executed."""
    return journal.filled(intent.client_id) >= intent.request.size


def _rules(order: LiveOrder) -> MarketRules:
    return context_of(order.data).rules
