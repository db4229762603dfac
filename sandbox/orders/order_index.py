"""The order index: all orders and trades, by order id, client id and symbol."""

from __future__ import annotations

from collections.abc import Iterator

from forwardtrader.sandbox.orders.order import ExchangeOrder, NewOrder, Trade
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


class OrderIndex:
    """Orders by arrival. A client id is unique among open orders only; it resolves to the latest order that used it."""

    def __init__(self) -> None:
        self.orders: dict[int, ExchangeOrder] = {}
        self.trades: list[Trade] = []
        self.touched: dict[int, ExchangeOrder] = {}  # changed without an event since the state was last written
        self._open: dict[str, dict[int, ExchangeOrder]] = {}
        self._by_client_id: dict[tuple[str, str], ExchangeOrder] = {}
        self._replaced: dict[int, ExchangeOrder] = {}  # by order id: the order that had the client id before

    def add(self, account: str, request: NewOrder, at: int) -> ExchangeOrder:
        order = ExchangeOrder(len(self.orders) + 1, account, request, request.size, at, at)
        self.orders[order.id] = order
        before = self._by_client_id.get((account, request.client_id))
        if before is not None:
            self._replaced[order.id] = before
        self._by_client_id[account, request.client_id] = order
        self._open.setdefault(request.symbol, {})[order.id] = order
        return order

    def restore(self, order: ExchangeOrder) -> None:
        """Put back an order of an earlier process; the older ones first."""
        self.orders[order.id] = order
        self._by_client_id[order.account, order.request.client_id] = order
        resting = self._open.setdefault(order.request.symbol, {})
        if order.is_open:
            resting[order.id] = order

    def remove(self, order: ExchangeOrder) -> None:
        """Undo `add` for an order that was refused after all."""
        del self.orders[order.id]
        self.close(order)
        before = self._replaced.pop(order.id, None)
        if before is not None:
            self._by_client_id[order.account, order.request.client_id] = before
        else:
            del self._by_client_id[order.account, order.request.client_id]

    def close(self, order: ExchangeOrder) -> None:
        """Take an order out of the open ones."""
        self._open[order.request.symbol].pop(order.id, None)

    def open_orders(self, symbol: str) -> list[ExchangeOrder]:
        return list(self._open.get(symbol, {}).values())

    def all_open(self, account: str) -> list[ExchangeOrder]:
        """By arrival over all symbols, so that a restarted exchange lists them as the one before did."""
        found = (o for orders in self._open.values() for o in orders.values() if o.account == account)
        return sorted(found, key=lambda order: order.id)

    def by_client_id(self, account: str, client_id: str) -> ExchangeOrder | None:
        return self._by_client_id.get((account, client_id))

    def find(self, account: str, symbol: str, order_id: int | None, client_id: str | None) -> ExchangeOrder:
        """One of the account's own orders.

        Raises:
            OrderRefused: there is none.
        """
        order = self.orders.get(order_id) if order_id is not None else self.by_client_id(account, client_id or "")
        if order is None or order.account != account or order.request.symbol != symbol:
            raise OrderRefused(RefusalReason.UNKNOWN_ORDER)
        return order

    def of_account(self, account: str, symbol: str) -> Iterator[ExchangeOrder]:
        return (o for o in self.orders.values() if o.account == account and o.request.symbol == symbol)

    def trades_of(self, account: str, symbol: str) -> Iterator[Trade]:
        return (t for t in self.trades if t.account == account and t.symbol == symbol)
