"""What happens at the exchange is told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from forwardtrader.sandbox.engine.events import BalancesChanged, Event, Execution, Listener, OrderChanged
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import Order, Trade


class News:
    """Listeners hear every event, in the order of their joining.

    Args:
        now: the market's clock, milliseconds UTC.
    """

    def __init__(self, listings: Mapping[str, Listing], now: Callable[[], int]) -> None:
        self._listings = listings
        self._now = now
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def order(self, order: Order, execution: Execution, trade: Trade | None = None) -> None:
        """What became of an order, and of the balances with it."""
        self.report(order, execution, trade)
        self.balances(order, trade)

    def report(self, order: Order, execution: Execution, trade: Trade | None = None) -> None:
        """What became of an order."""
        self.tell(OrderChanged(order, execution, trade, self._now()))

    def balances(self, order: Order, trade: Trade | None = None) -> None:
        """The balances that an order touches."""
        rules = self._listings[order.wish.symbol].rules
        extra = (trade.fee_asset,) if trade and trade.fee_asset not in (rules.base, rules.quote) else ()
        self.tell(BalancesChanged(order.account, (rules.base, rules.quote, *extra), self._now()))
