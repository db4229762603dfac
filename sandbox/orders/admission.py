"""What an order must satisfy before it enters the market, and what it locks when it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders import matching
from forwardtrader.sandbox.orders.account import Account
from forwardtrader.sandbox.orders.fill_model import FillModel
from forwardtrader.sandbox.orders.listing import Listing, breach
from forwardtrader.sandbox.orders.order import WITH_TRIGGER, ZERO, NewOrder, OpenOrders, Order, OrderType, Status
from forwardtrader.sandbox.orders.order_index import Register
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.orders.refusal import OrderRefused, Refusal
from forwardtrader.sandbox.orders.settlement import CENT, Settlement

LIMITS: Final = (OrderType.LIMIT_MAKER, OrderType.LIMIT)


class Admission:
    """Accepts orders into the register, or refuses them and leaves no trace. Every method raises OrderRefused."""

    def __init__(
        self,
        listings: Mapping[str, Listing],
        accounts: Mapping[str, Account],
        register: Register,
        fills: FillModel,
        settlement: Settlement,
        *,
        strict_triggers: bool,
        most: OpenOrders,
    ) -> None:
        self._listings = listings
        self._accounts = accounts
        self._register = register
        self._fills = fills
        self._settlement = settlement
        self._strict_triggers = strict_triggers
        self._most = most

    def tradable(self, symbol: str) -> Listing:
        if symbol not in self._listings:
            raise OrderRefused(Refusal.UNKNOWN_SYMBOL)
        if not self._listings[symbol].is_open:
            raise OrderRefused(Refusal.MARKET_CLOSED)
        return self._listings[symbol]

    def check(self, account: str, wish: NewOrder, listing: Listing) -> None:
        reason = breach(wish, listing.rules, listing.last)
        if reason is not None:
            raise OrderRefused(reason)
        named = self._register.named(account, wish.client_id)
        if named is not None and named.is_open:
            raise OrderRefused(Refusal.DUPLICATE_CLIENT_ID)
        self._check_room(account, wish)
        if self._strict_triggers and matching.is_triggered(wish, listing.last):
            raise OrderRefused(Refusal.WOULD_TRIGGER)

    def _check_room(self, account: str, wish: NewOrder) -> None:
        if wish.type is OrderType.MARKET:
            return
        mine = [o for o in self._register.open_orders(wish.symbol) if o.account == account]
        if len(mine) >= self._most.orders:
            raise OrderRefused(Refusal.MAX_ORDERS)
        if wish.type in WITH_TRIGGER and sum(o.wish.type in WITH_TRIGGER for o in mine) >= self._most.triggers:
            raise OrderRefused(Refusal.MAX_TRIGGERS)

    def admit(self, order: Order, listing: Listing) -> None:
        wish = order.wish
        if wish.reduce_only:
            held = self._accounts[order.account].position(wish.symbol).size
            if not (held > 0 if wish.side is Side.SELL else held < 0):
                raise OrderRefused(Refusal.REDUCE_ONLY)
            order.size = min(order.size, abs(held))
        if wish.quote_size is not None:
            order.size = wish.quote_size  # stands in until the price is known
            price = self._first_price(order, listing)
            order.size = wish.quote_size / price // listing.rules.step * listing.rules.step
            if order.size <= 0:
                raise OrderRefused(Refusal.LOT_SIZE)
        if wish.type is OrderType.LIMIT_MAKER and self._fills.arrives(listing, order).pieces:
            raise OrderRefused(Refusal.WOULD_TAKE)
        price = self._first_price(order, listing) if wish.type is OrderType.MARKET else listing.last
        self.hold(order, listing, price)

    def _first_price(self, order: Order, listing: Listing) -> Decimal:
        """The average price a market order would get now, rounded against the account."""
        pieces = self._fills.arrives(listing, order).pieces
        size = sum((p.size for p in pieces), ZERO)
        if not size:
            return listing.last
        average = sum((p.price * p.size for p in pieces), ZERO) / size
        return average.quantize(CENT, rounding=ROUND_CEILING)

    def admit_legs(self, group: OrderList, account: str, wishes: Iterable[NewOrder], listing: Listing) -> None:
        group.legs = [self._listed(group, account, wish) for wish in wishes]
        try:
            self._check_sides(group, listing)
            self.hold_for_legs(group.legs, listing)
        except OrderRefused:
            for order in reversed(group.legs):
                self._register.forget(order)
            raise

    def admit_working(self, group: OrderList, account: str, working: NewOrder, wishes: Iterable[NewOrder], listing: Listing) -> None:
        group.working = self._listed(group, account, working)
        try:
            self.admit(group.working, listing)
        except OrderRefused:
            self._register.forget(group.working)
            raise
        group.legs = [self._listed(group, account, wish) for wish in wishes]
        for leg in group.legs:
            leg.status = Status.HELD

    def _listed(self, group: OrderList, account: str, wish: NewOrder) -> Order:
        order = self._register.add(account, wish, group.placed_at)
        order.list_id = group.id
        return order

    def _check_sides(self, group: OrderList, listing: Listing) -> None:
        """One leg above and one below the market, as venues demand; bar mode leaves that to the bar."""
        if not self._strict_triggers or len(group.legs) < 2:
            return
        above, below = group.legs[0].wish, group.legs[1].wish
        upper = above.limit_price if above.type in LIMITS else above.stop_price
        lower = below.limit_price if below.type in LIMITS else below.stop_price
        if upper is None or lower is None or not upper > listing.last > lower:
            raise OrderRefused(Refusal.LIST_PRICES)

    def hold(self, order: Order, listing: Listing, price: Decimal) -> None:
        """Lock what the open rest of the order may cost. Raises OrderRefused where the account has not got it."""
        asset, amount = self._settlement.hold(self._accounts[order.account], order, listing.rules, price)
        self._accounts[order.account].lock(asset, amount)
        order.locked, order.lock_asset = amount, asset

    def hold_for_legs(self, legs: Sequence[Order], listing: Listing) -> None:
        """Linked legs share one lock, the larger one; it is put on the leg that needs it."""
        self.hold(max(legs, key=lambda o: self._cost(o, listing)), listing, listing.last)

    def _cost(self, order: Order, listing: Listing) -> Decimal:
        return self._settlement.hold(self._accounts[order.account], order, listing.rules, listing.last)[1]
