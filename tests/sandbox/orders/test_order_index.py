"""The order index finds orders by id and client id, and forgets refused ones."""

from __future__ import annotations

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.orders.order_index import OrderIndex
from forwardtrader.sandbox.orders.refusal import OrderRefused
from tests.sandbox.orders.made_orders import new_order


def request(client_id: str) -> NewOrder:
    return new_order(OrderType.LIMIT, Side.BUY, 1, 100, client_id=client_id)


def test_an_order_is_found_by_its_id_and_by_its_client_id() -> None:
    index = OrderIndex()
    first, second = index.add("main", request("a"), 0), index.add("main", request("b"), 0)
    assert index.find("main", "BTC/USDT", second.id, None) is second
    assert index.find("main", "BTC/USDT", None, "a") is first
    for account, symbol, number, client_id in (
        ("main", "BTC/USDT", 9, None), ("main", "BTC/USDT", None, "c"), ("main", "ETH/USDT", 1, None), ("other", "BTC/USDT", 1, None),
    ):  # fmt: skip
        with pytest.raises(OrderRefused):
            index.find(account, symbol, number, client_id)


def test_a_client_id_stands_for_its_latest_order_and_after_a_refusal_for_the_one_before() -> None:
    index = OrderIndex()
    first = index.add("main", request("a"), 0)
    second = index.add("main", request("a"), 0)
    assert index.by_client_id("main", "a") is second
    index.remove(second)
    assert index.by_client_id("main", "a") is first
    index.remove(first)
    assert index.by_client_id("main", "a") is None
    assert not index.orders


def test_a_closed_order_stays_known_but_is_not_open() -> None:
    index = OrderIndex()
    order = index.add("main", request("a"), 0)
    assert index.open_orders("BTC/USDT") == list(index.all_open("main")) == [order]
    index.close(order)
    assert index.open_orders("BTC/USDT") == list(index.all_open("main")) == []
    assert list(index.of_account("main", "BTC/USDT")) == [order]
