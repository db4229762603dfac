"""Every order and trade the exchange has seen, findable by number, by client id and by symbol."""

from __future__ import annotations

from collections.abc import Iterator

from forwardtrader.sandbox.orders.order import NewOrder, Order, Trade
from forwardtrader.sandbox.orders.refusal import OrderRefused, Refusal


class Register:
    """Orders in order of arrival. A client id is unique among open orders only; the latest order of a name answers for it."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.trades: list[Trade] = []
        self._open: dict[str, dict[int, Order]] = {}
        self._named: dict[tuple[str, str], Order] = {}
        self._replaced: dict[int, Order] = {}  # by number: the order that answered for the name before

    def add(self, account: str, wish: NewOrder, at: int) -> Order:
        order = Order(len(self.orders) + 1, account, wish, wish.size, at, at)
        self.orders[order.id] = order
        before = self._named.get((account, wish.client_id))
        if before is not None:
            self._replaced[order.id] = before
        self._named[account, wish.client_id] = order
        self._open.setdefault(wish.symbol, {})[order.id] = order
        return order

    def forget(self, order: Order) -> None:
        """Take back an order that was refused after all."""
        del self.orders[order.id]
        self.retire(order)
        before = self._replaced.pop(order.id, None)
        if before is not None:
            self._named[order.account, order.wish.client_id] = before
        else:
            del self._named[order.account, order.wish.client_id]

    def retire(self, order: Order) -> None:
        """The order is not open any more."""
        self._open[order.wish.symbol].pop(order.id, None)

    def open_orders(self, symbol: str) -> list[Order]:
        return list(self._open.get(symbol, {}).values())

    def all_open(self, account: str) -> Iterator[Order]:
        return (o for orders in self._open.values() for o in orders.values() if o.account == account)

    def named(self, account: str, client_id: str) -> Order | None:
        return self._named.get((account, client_id))

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> Order:
        """One of the account's own orders.

        Raises:
            OrderRefused: there is none.
        """
        order = self.orders.get(order_id) if order_id is not None else self.named(account, client_id or "")
        if order is None or order.account != account or order.wish.symbol != symbol:
            raise OrderRefused(Refusal.UNKNOWN_ORDER)
        return order

    def of_account(self, account: str, symbol: str) -> Iterator[Order]:
        return (o for o in self.orders.values() if o.account == account and o.wish.symbol == symbol)

    def trades_of(self, account: str, symbol: str) -> Iterator[Trade]:
        return (t for t in self.trades if t.account == account and t.symbol == symbol)
