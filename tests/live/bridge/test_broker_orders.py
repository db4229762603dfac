"""The open orders of a broker, and the client ids of new ones."""

from __future__ import annotations

from decimal import Decimal

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.broker_orders import BrokerOrders
from forwardtrader.live.execution.events import Intent


def intent(name: str = "a", size: str = "1.0") -> Intent:
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal(size)), bar=0)


def test_the_book_of_a_broker_lets_go_of_orders_that_are_done_and_keeps_those_alive() -> None:
    class Order:
        def __init__(self, ref: int) -> None:
            self.ref, self.is_alive = ref, True

        def alive(self) -> bool:
            return self.is_alive

    book, orders = BrokerOrders(), [Order(ref) for ref in range(300)]
    for order in orders:
        book.keep(order)
        book.keep(order, intent(f"id-{order.ref}"))
        if order.ref > 1:
            order.is_alive = False
            book.over(order)
            book.over(order)
    assert book.alive == orders[:2]
    assert [book.of_client_id(f"id-{n}") for n in (0, 2, 299)] == [orders[0], None, orders[299]]
    assert book.own(Order(1)) is orders[1]
    assert (book.own(orders[299]), book.sent_as(orders[2])) == (None, None)


def test_an_order_that_goes_on_under_another_name_is_found_by_both() -> None:
    class Order:
        ref = 1

        def alive(self) -> bool:
            return True

    book, order = BrokerOrders(), Order()
    book.keep(order, intent("first"))
    book.take_back(order)
    assert book.sent_as(order) is None
    book.name(order, "second")
    assert book.of_client_id("first") is book.of_client_id("second") is order


def test_an_order_made_anew_under_the_name_of_one_that_is_done_is_found_until_it_is_forgotten_itself() -> None:
    class Order:
        def __init__(self, ref: int) -> None:
            self.ref = ref

        def alive(self) -> bool:
            return False

    book, orders = BrokerOrders(), [Order(ref) for ref in range(200)]
    for order in orders:
        book.keep(order, intent("revived" if order.ref < 2 else f"id-{order.ref}"))
    book.over(orders[0])
    for order in orders[2:66]:
        book.over(order)
    assert book.of_client_id("revived") is orders[1]
    for order in (orders[1], *orders[66:]):
        book.over(order)
    assert book.of_client_id("revived") is None
