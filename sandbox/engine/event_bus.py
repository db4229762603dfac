"""The event bus: every engine event is published to all subscribers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from forwardtrader.sandbox.engine.events import BalancesChanged, EngineEvent, EventHandler, ExecutionType, OrderChanged
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ExchangeOrder, Trade


class EventBus:
    """Publishes each event to the subscribers, in the order in which they subscribed.

    Args:
        now: the market's clock, milliseconds UTC.
    """

    def __init__(self, listings: Mapping[str, Listing], now: Callable[[], int]) -> None:
        self._listings = listings
        self._now = now
        self._handlers: list[EventHandler] = []

    def subscribe(self, handler: EventHandler) -> None:
        self._handlers.append(handler)

    def publish(self, event: EngineEvent) -> None:
        for handler in self._handlers:
            handler(event)

    def publish_order(self, order: ExchangeOrder, execution: ExecutionType, trade: Trade | None = None) -> None:
        """An order changed, and with it the balances."""
        self.publish_report(order, execution, trade)
        self.publish_balances(order, trade)

    def publish_report(self, order: ExchangeOrder, execution: ExecutionType, trade: Trade | None = None) -> None:
        """An order changed."""
        self.publish(OrderChanged(order, execution, trade, self._now()))

    def publish_balances(self, order: ExchangeOrder, trade: Trade | None = None) -> None:
        """The balances of the assets that an order moves, the fee asset included."""
        rules = self._listings[order.request.symbol].rules
        moved = (rules.settle,) if rules.is_perpetual else (rules.base, rules.quote)
        extra = (trade.fee_asset,) if trade and trade.fee_asset not in moved else ()
        self.publish(BalancesChanged(order.account, (*moved, *extra), self._now()))
