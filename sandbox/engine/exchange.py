"""The matching engine: takes orders, publishes executions and events, independent of any protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.event_bus import EventBus
from forwardtrader.sandbox.engine.events import BalanceMoved, BalancesChanged, ExecutionType, Funded, ListChanged
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.admission import Admission
from forwardtrader.sandbox.orders.fill_model import FillModel, Match
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.matching import Level
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder, NewOrder, OpenOrders, OrderType, Origin, Status, TimeInForce, Trade
from forwardtrader.sandbox.orders.order_index import OrderIndex
from forwardtrader.sandbox.orders.order_list import OrderList
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.orders.settlement import Settlement

SizeSplitter: TypeAlias = Callable[[ExchangeOrder, Listing, Decimal], list[Decimal]]


class Exchange:
    """Accounts, orders and listings. Client requests and the market driver change them.

    Args:
        listings: symbol to listing.
        fills: the fill mode.
        settlement: how executions are settled.
        now: the market's clock, milliseconds UTC.
        strict_triggers: refuse a trigger that the last price has passed.
        most: how many orders an account may have open.
    """

    def __init__(
        self, listings: Mapping[str, Listing], fills: FillModel, settlement: Settlement, now: Callable[[], int], *,
        strict_triggers: bool, most: OpenOrders,
    ) -> None:  # fmt: skip
        self.listings = dict(listings)
        self.accounts: dict[str, ClientAccount] = {}
        self.order_index = OrderIndex()
        self.lists: dict[int, OrderList] = {}
        self.payments: list[Funded] = []  # funding, oldest first
        self.now = now
        self.fill_cap: Decimal | None = None  # largest size filled per order and print
        self.divide: SizeSplitter = whole  # splits a fill into executions
        self.before_cancel: Callable[[ExchangeOrder], bool] = lambda order: False  # whether the order fills just before the cancel
        self._fills, self._settlement = fills, settlement
        self._admission = Admission(
            self.listings, self.accounts, self.order_index, fills, settlement, strict_triggers=strict_triggers, most=most
        )
        self.events = EventBus(self.listings, now)
        self.subscribe, self.publish = self.events.subscribe, self.events.publish

    # Requests

    def place(self, account: str, request: NewOrder) -> ExchangeOrder:
        """Accept an order and match it at once.

        Raises:
            OrderRefused: nothing was changed.
        """
        listing = self._admission.tradable(request.symbol)
        self._admission.check(account, request, listing)
        order = self.order_index.add(account, request, self.now())
        try:
            self._admission.admit(order, listing)
        except OrderRefused:
            self.order_index.remove(order)
            raise
        self.events.publish_report(order, ExecutionType.NEW)
        self._meet(order, listing)
        if not order.trades and order.is_open:
            self.events.publish_balances(order)
        return order

    def turn_away(self, account: str, request: NewOrder) -> ExchangeOrder:
        """Accept a post-only order that would take, and cancel it at once, as some venues do in place of a refusal."""
        order = self.order_index.add(account, request, self.now())
        order.turned_away = True
        self._finish(order, Status.CANCELED, ExecutionType.CANCELED)
        return order

    def cancel(self, order: ExchangeOrder, cancel_id: str = "") -> ExchangeOrder:
        """Cancel an open order.

        Raises:
            OrderRefused: it is no longer open.
        """
        if not order.is_open:
            raise OrderRefused(RefusalReason.ORDER_DONE)
        if self.before_cancel(order):
            self.fill_now(order)
            raise OrderRefused(RefusalReason.ORDER_DONE)
        order.cancel_id = cancel_id
        self._finish(order, Status.CANCELED, ExecutionType.CANCELED)
        return order

    def place_list(self, account: str, legs: Iterable[NewOrder], *, working: NewOrder | None = None, client_id: str = "") -> OrderList:
        """Accept an order list: legs that cancel each other (OCO); with a `working` order they are held until it has filled (OTO, OTOCO).

        Raises:
            OrderRefused: nothing was changed.
        """
        requests = list(legs)
        listing = self._admission.tradable(requests[0].symbol)
        everyone = [*requests, *([working] if working else [])]
        if len({request.client_id for request in everyone}) < len(everyone):
            raise OrderRefused(RefusalReason.DUPLICATE_CLIENT_ID)
        for request in everyone:
            self._admission.check(account, request, listing)
        number = len(self.lists) + 1
        group = OrderList(number, account, requests[0].symbol, client_id or f"list-{number}", self.now())
        if working is None:
            self._admission.admit_legs(group, account, requests, listing)
        else:
            self._admission.admit_working(group, account, working, requests, listing)
        self.lists[number] = group
        self.publish(ListChanged(account, number, False, self.now()))
        for order in group.orders:
            if order.status is not Status.HELD:
                self.events.publish_order(order, ExecutionType.NEW)
        for order in group.orders:
            if order.is_open and order.status is not Status.HELD:
                self._meet(order, listing)
        return group

    def move_balance(self, account: str, asset: str, amount: Decimal) -> None:
        """A deposit, or with a negative amount a withdrawal.

        Raises:
            OrderRefused: more is withdrawn than is free.
        """
        if amount < 0:
            self.accounts[account].spend(asset, -amount)
        else:
            self.accounts[account].receive(asset, amount)
        self.publish(BalanceMoved(account, asset, amount, self.now()))
        self.publish(BalancesChanged(account, (asset,), self.now()))

    def fill_now(self, order: ExchangeOrder) -> None:
        """Fill the rest of an open order at its limit price, or at the last price where it has none."""
        listing = self.listings[order.request.symbol]
        price = order.request.limit_price or listing.last
        self._execute(order, listing, Level(price, order.remaining), maker=order.request.limit_price is not None)

    def cancel_all(self, account: str, symbols: Sequence[str]) -> None:
        """Cancel the account's open orders of these symbols."""
        for order in self.order_index.all_open(account):
            if order.request.symbol in symbols:
                self._finish(order, Status.CANCELED, ExecutionType.CANCELED)

    def force(self, account: str, symbol: str, side: Side, size: Decimal, price: Decimal, origin: Origin) -> None:
        """Reduce a position at `price`, as the venue does by itself."""
        name = f"{origin}-{len(self.order_index.orders) + 1}"
        request = NewOrder(
            symbol=symbol, side=side, type=OrderType.MARKET, size=size, client_id=name, reduce_only=True, origin=origin
        )  # fmt: skip
        order = self.order_index.add(account, request, self.now())
        self.events.publish_order(order, ExecutionType.NEW)
        self._execute(order, self.listings[symbol], Level(price, size), maker=False)

    # Market data

    def print_price(self, symbol: str, price: Decimal, volume: Decimal) -> None:
        """The market traded `volume` at `price`: open orders may fill."""
        listing = self.listings[symbol]
        listing.last = price
        listing.taken.clear()
        waiting = [o for o in self.order_index.open_orders(symbol) if o.status is not Status.HELD]
        for order, match in self._fills.ticks(listing, waiting, volume) if waiting else []:
            if order.is_open:
                self._apply(order, listing, match)

    def end_bar(self, symbol: str) -> None:
        """The running bar is complete: open orders may fill, the older first."""
        listing = self.listings[symbol]
        for order in self.order_index.open_orders(symbol):
            if order.is_open and order.status is not Status.HELD:
                self._apply(order, listing, self._fills.bar_ends(listing, order))

    # Execution

    def _meet(self, order: ExchangeOrder, listing: Listing) -> None:
        match = self._fills.arrives(listing, order)
        request = order.request
        offered = sum((p.size for p in match.pieces), ZERO)
        if request.tif is TimeInForce.FOK and offered < order.size:
            self._finish(order, Status.EXPIRED, ExecutionType.EXPIRED)
            return
        self._apply(order, listing, match)
        at_once = request.tif is not TimeInForce.GTC or (request.type is OrderType.MARKET and self.fill_cap is None)
        if order.is_open and at_once and (request.stop_price is None or order.triggered):
            self._finish(order, Status.EXPIRED, ExecutionType.EXPIRED)

    def _apply(self, order: ExchangeOrder, listing: Listing, match: Match) -> None:
        if order.triggered != match.triggered:
            order.triggered = match.triggered
            self.order_index.touched[order.id] = order  # nobody is told of it
        left = self.fill_cap
        for piece in match.pieces:
            size = piece.size if left is None else min(piece.size, left)
            if size <= 0 or not order.is_open:
                break
            left = None if left is None else left - size
            self._take(listing, piece.price, size, match.maker)
            for part in self.divide(order, listing, size):
                self._execute(order, listing, Level(piece.price, part), match.maker)

    @staticmethod
    def _take(listing: Listing, price: Decimal, size: Decimal, maker: bool) -> None:
        if not maker:
            listing.taken[price] = listing.taken.get(price, ZERO) + size

    def _execute(self, order: ExchangeOrder, listing: Listing, piece: Level, maker: bool) -> None:
        if not order.is_open:
            return
        self._end_siblings(order)
        account = self.accounts[order.account]
        size = min(piece.size, self._settlement.affordable(account, order, listing.rules, piece.price, maker))
        self._release(order)
        if size <= 0:
            self._finish(order, Status.EXPIRED, ExecutionType.EXPIRED)
            return
        done = self._settlement.settle(account, order, listing.rules, piece.price, size, maker)
        trade = Trade(
            id=len(self.order_index.trades) + 1, order_id=order.id, account=order.account, symbol=order.request.symbol,
            side=order.request.side, price=piece.price, size=size, quote=done.quote, fee=done.fee, fee_asset=done.fee_asset,
            at=self.now(), maker=maker, gain=done.gain,
        )  # fmt: skip
        self.order_index.trades.append(trade)
        order.trades.append(trade)
        order.filled += size
        order.quote_filled += done.quote
        self._after_trade(order, listing, trade, short=size < piece.size)

    def _after_trade(self, order: ExchangeOrder, listing: Listing, trade: Trade, *, short: bool) -> None:
        order.updated_at = trade.at
        order.status = Status.PARTIAL if order.remaining else Status.FILLED
        if not order.remaining:
            self.order_index.close(order)
        elif not short:
            try:
                self._admission.hold(order, listing, listing.last)
            except OrderRefused:
                short = True
        self.events.publish_order(order, ExecutionType.TRADE, trade)
        if short and order.is_open:
            self._finish(order, Status.EXPIRED, ExecutionType.EXPIRED)
        if order.status is Status.FILLED:
            self._filled(order, listing)

    def _filled(self, order: ExchangeOrder, listing: Listing) -> None:
        group = self.lists.get(order.list_id or 0)
        if group is None:
            return
        if order is group.working:
            self._activate(group, listing)
        self._close_list(group)

    def _activate(self, group: OrderList, listing: Listing) -> None:
        try:
            self._admission.hold_for_legs(group.legs, listing)
        except OrderRefused:
            for leg in group.legs:
                self._finish(leg, Status.EXPIRED, ExecutionType.EXPIRED)
            return
        for leg in group.legs:
            leg.status = Status.NEW
            leg.rests_until = listing.bar.start if listing.bar else -1
            self.events.publish_order(leg, ExecutionType.NEW)

    def _end_siblings(self, order: ExchangeOrder) -> None:
        group = self.lists.get(order.list_id or 0)
        for sibling in group.siblings(order) if group else []:
            self._end(sibling, Status.EXPIRED, ExecutionType.EXPIRED)

    def _finish(self, order: ExchangeOrder, status: Status, execution: ExecutionType) -> None:
        """Close an order together with the orders linked to it."""
        if not order.is_open:
            return
        self._end(order, status, execution)
        group = self.lists.get(order.list_id or 0)
        if group is not None:
            for other in (o for o in group.orders if o.is_open):
                self._end(other, status, execution)
            self._close_list(group)

    def _end(self, order: ExchangeOrder, status: Status, execution: ExecutionType) -> None:
        self._release(order)
        order.status = status
        order.updated_at = self.now()
        self.order_index.close(order)
        self.events.publish_order(order, execution)

    def _close_list(self, group: OrderList) -> None:
        if not group.done and not any(o.is_open for o in group.orders):
            group.done = True
            self.publish(ListChanged(group.account, group.id, True, self.now()))

    def _release(self, order: ExchangeOrder) -> None:
        if order.locked:
            self.accounts[order.account].unlock(order.lock_asset, order.locked)
            order.locked = ZERO


def whole(order: ExchangeOrder, listing: Listing, size: Decimal) -> list[Decimal]:
    """A single execution of the full size."""
    return [size]
