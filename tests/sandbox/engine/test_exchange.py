"""The engine: partial fills, linked orders."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType, Status
from forwardtrader.sandbox.venue import ACCOUNT
from tests.sandbox.small_market import FLAT, balance, place, request, venue_of

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
# Bar 1 opens at 100; bar 2 is 98..106.
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]


def test_a_partly_filled_order_locks_the_rest_only(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    venue.exchange.fill_cap = Decimal("0.4")
    order = place(venue, LIMIT, BUY, 1, 100)
    assert (order.status, float(order.filled)) == (Status.PARTIAL, 0.4)
    assert balance(venue, "USDT") == (9900, 60)
    venue.exchange.cancel(order)
    assert (order.status, float(order.filled), balance(venue, "USDT")) == (Status.CANCELED, 0.4, (9960, 0))


def test_a_capped_market_order_goes_on_in_the_next_bar(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    venue.exchange.fill_cap = Decimal("0.6")
    order = place(venue, MARKET, SELL, 1)
    assert order.status is Status.PARTIAL
    venue.driver.advance()
    assert order.status is Status.FILLED


def test_of_two_linked_orders_the_one_that_deals_ends_the_other(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 10, 105), request(STOP, SELL, 10, None, 97)])
    assert balance(venue, "BTC") == (0, 10)
    venue.driver.advance()
    venue.driver.advance()
    assert [o.status for o in group.legs] == [Status.FILLED, Status.EXPIRED]
    assert (group.done, balance(venue, "BTC")) == (True, (0, 0))


def test_cancelling_one_linked_order_ends_both(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 1, 120), request(STOP, SELL, 1, None, 80)])
    venue.exchange.cancel(group.legs[1])
    assert ([o.status for o in group.legs], balance(venue, "BTC")) == ([Status.CANCELED] * 2, (10, 0))


def test_held_legs_enter_the_market_when_the_working_order_has_filled(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, balances={"USDT": 10_000})
    legs = [request(LIMIT, SELL, 1, 105), request(STOP, SELL, 1, None, 90)]
    group = venue.exchange.place_list(ACCOUNT, legs, working=request(LIMIT, BUY, 1, 99.5))
    assert [o.status for o in group.orders] == [Status.NEW, Status.HELD, Status.HELD]
    venue.driver.advance()
    assert [o.status for o in group.orders] == [Status.FILLED, Status.NEW, Status.NEW]
    venue.driver.advance()
    assert [o.status for o in group.orders] == [Status.FILLED, Status.FILLED, Status.EXPIRED]


def test_cancelling_the_working_order_ends_the_held_legs(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 1, 105)], working=request(LIMIT, BUY, 1, 50))
    venue.exchange.cancel(group.orders[0])
    assert ({o.status for o in group.orders}, group.done) == ({Status.CANCELED}, True)
