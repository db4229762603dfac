"""Order admission: the checks before an order is accepted, and the balance it locks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders import matching
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.fill_model import FillModel
from forwardtrader.sandbox.orders.listing import Listing, breach
from forwardtrader.sandbox.orders.order import WITH_TRIGGER, ZERO, ExchangeOrder, NewOrder, OpenOrders, OrderType, Status
from forwardtrader.sandbox.orders.order_index import OrderIndex
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.orders.settlement import CENT, Settlement

LIMITS: Final = (OrderType.LIMIT_MAKER, OrderType.LIMIT)


class Admission:
    """Adds accepted orders to the order index; a refused one leaves no trace. Every method raises OrderRefused."""

    def __init__(
        self,
        listings: Mapping[str, Listing],
        accounts: Mapping[str, ClientAccount],
        order_index: OrderIndex,
        fills: FillModel,
        settlement: Settlement,
        *,
        strict_triggers: bool,
        most: OpenOrders,
    ) -> None:
        self._listings = listings
        self._accounts = accounts
        self._order_index = order_index
        self._fills = fills
        self._settlement = settlement
        self._strict_triggers = strict_triggers
        self._most = most

    def tradable(self, symbol: str) -> Listing:
        if symbol not in self._listings:
            raise OrderRefused(RefusalReason.UNKNOWN_SYMBOL)
        if not self._listings[symbol].is_open:
            raise OrderRefused(RefusalReason.MARKET_CLOSED)
        return self._listings[symbol]

    def check(self, account: str, request: NewOrder, listing: Listing) -> None:
        reason = breach(request, listing.rules, listing.last)
        if reason is not None:
            raise OrderRefused(reason)
        named = self._order_index.by_client_id(account, request.client_id)
        if named is not None and named.is_open:
            raise OrderRefused(RefusalReason.DUPLICATE_CLIENT_ID)
        self._check_room(account, request)
        if self._strict_triggers and matching.is_triggered(request, listing.last):
            raise OrderRefused(RefusalReason.WOULD_TRIGGER)

    def _check_room(self, account: str, request: NewOrder) -> None:
        if request.type is OrderType.MARKET:
            return
        mine = [o for o in self._order_index.open_orders(request.symbol) if o.account == account]
        if len(mine) >= self._most.orders:
            raise OrderRefused(RefusalReason.MAX_ORDERS)
        if request.type in WITH_TRIGGER and sum(o.request.type in WITH_TRIGGER for o in mine) >= self._most.triggers:
            raise OrderRefused(RefusalReason.MAX_TRIGGERS)

    def admit(self, order: ExchangeOrder, listing: Listing) -> None:
        request = order.request
        if request.reduce_only:
            held = self._accounts[order.account].position(request.symbol).size
            if not (held > 0 if request.side is Side.SELL else held < 0):
                raise OrderRefused(RefusalReason.REDUCE_ONLY)
            order.size = min(order.size, abs(held))
        if request.quote_size is not None:
            order.size = request.quote_size  # a placeholder until the price is known
            price = self._first_price(order, listing)
            order.size = request.quote_size / price // listing.rules.step * listing.rules.step
            if order.size <= 0:
                raise OrderRefused(RefusalReason.LOT_SIZE)
        if request.type is OrderType.LIMIT_MAKER and self._fills.arrives(listing, order).pieces:
            raise OrderRefused(RefusalReason.WOULD_TAKE)
        price = self._first_price(order, listing) if request.type is OrderType.MARKET else listing.last
        self.hold(order, listing, price)

    def _first_price(self, order: ExchangeOrder, listing: Listing) -> Decimal:
        """The average price a market order would get now, rounded against the account."""
        pieces = self._fills.arrives(listing, order).pieces
        size = sum((p.size for p in pieces), ZERO)
        if not size:
            return listing.last
        average = sum((p.price * p.size for p in pieces), ZERO) / size
        return average.quantize(CENT, rounding=ROUND_CEILING)

    def admit_legs(self, group: OrderList, account: str, requests: Iterable[NewOrder], listing: Listing) -> None:
        group.legs = [self._listed(group, account, request) for request in requests]
        try:
            self._check_sides(group, listing)
            self.hold_for_legs(group.legs, listing)
        except OrderRefused:
            for order in reversed(group.legs):
                self._order_index.remove(order)
            raise

    def admit_working(self, group: OrderList, account: str, working: NewOrder, requests: Iterable[NewOrder], listing: Listing) -> None:
        group.working = self._listed(group, account, working)
        try:
            self.admit(group.working, listing)
        except OrderRefused:
            self._order_index.remove(group.working)
            raise
        group.legs = [self._listed(group, account, request) for request in requests]
        for leg in group.legs:
            leg.status = Status.HELD

    def _listed(self, group: OrderList, account: str, request: NewOrder) -> ExchangeOrder:
        order = self._order_index.add(account, request, group.placed_at)
        order.list_id = group.id
        return order

    def _check_sides(self, group: OrderList, listing: Listing) -> None:
        """One leg must be above and one below the last price, as venues require; bar mode does not check it."""
        if not self._strict_triggers or len(group.legs) < 2:
            return
        above, below = group.legs[0].request, group.legs[1].request
        upper = above.limit_price if above.type in LIMITS else above.stop_price
        lower = below.limit_price if below.type in LIMITS else below.stop_price
        if upper is None or lower is None or not upper > listing.last > lower:
            raise OrderRefused(RefusalReason.LIST_PRICES)

    def hold(self, order: ExchangeOrder, listing: Listing, price: Decimal) -> None:
        """Lock the most that the rest of the order can cost. Raises OrderRefused where less is free."""
        asset, amount = self._settlement.hold(self._accounts[order.account], order, listing.rules, price)
        self._accounts[order.account].lock(asset, amount)
        order.locked, order.lock_asset = amount, asset

    def hold_for_legs(self, legs: Sequence[ExchangeOrder], listing: Listing) -> None:
        """Linked legs share one lock, the larger of the two, kept on the leg that needs it."""
        self.hold(max(legs, key=lambda o: self._cost(o, listing)), listing, listing.last)

    def _cost(self, order: ExchangeOrder, listing: Listing) -> Decimal:
        return self._settlement.hold(self._accounts[order.account], order, listing.rules, listing.last)[1]
