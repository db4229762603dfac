"""Order lists: which orders end together."""

from __future__ import annotations

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType, Status
from forwardtrader.sandbox.orders.order_list import OrderList
from tests.sandbox.orders.made_orders import order


def test_a_leg_ends_the_other_open_legs_and_a_working_order_ends_none() -> None:
    working, above, below = (order(OrderType.LIMIT, Side.SELL, 1, price) for price in (100, 110, 90))
    group = OrderList(1, "main", "BTC/USDT", "list", 0, working, [above, below])
    assert group.orders == [working, above, below]
    assert group.siblings(above) == [below]
    assert group.siblings(working) == []
    below.status = Status.CANCELED
    assert group.siblings(above) == []


def test_a_list_without_a_working_order_has_only_its_legs() -> None:
    legs = [order(OrderType.LIMIT, Side.SELL, 1, price) for price in (110, 90)]
    assert OrderList(1, "main", "BTC/USDT", "list", 0, None, legs).orders == legs
