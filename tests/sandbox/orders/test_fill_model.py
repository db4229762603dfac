"""Orders fill by the bar rule, or against the simulated book."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType, Status, TimeInForce
from tests.sandbox.small_market import FLAT, balance, place, venue_of

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
TAKE = OrderType.TAKE_PROFIT
# Bar 1 opens at 100; bar 2 is 98..106. What an order placed in bar 1 gets: (price, number of bars it waits).
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]
BAR_RULE = [
    ((MARKET, BUY), (100, 0)),
    ((LIMIT, BUY, 1, 100.5), (100, 0)),
    ((LIMIT, BUY, 1, 99.5), (99.5, 1)),
    ((LIMIT, BUY, 1, 98.5), (98.5, 2)),
    ((LIMIT, BUY, 1, 90), None),
    ((LIMIT, SELL, 1, 100.7), (100.7, 1)),
    ((LIMIT, SELL, 1, 101.5), (102, 2)),
    ((LIMIT, SELL, 1, 105), (105, 2)),
    ((STOP, BUY, 1, None, 100.9), (100.9, 1)),
    ((STOP, BUY, 1, None, 101.5), (102, 2)),
    ((STOP, BUY, 1, None, 105), (105, 2)),
    ((STOP, BUY, 1, None, 99), (100, 0)),
    ((STOP, SELL, 1, None, 98.5), (98.5, 2)),
    ((STOP_LIMIT, BUY, 1, 105.5, 105), (105, 2)),
    ((STOP_LIMIT, BUY, 1, 103, 105), (100, 3)),
    ((STOP_LIMIT, SELL, 1, 99.5, 98.5), (99.5, 2)),
    ((TAKE, SELL, 1, None, 105), (105, 2)),
    ((TAKE, BUY, 1, None, 98.5), (98.5, 2)),
]


@pytest.mark.parametrize(("order", "expected"), BAR_RULE, ids=str)
def test_the_bar_rule_fills_at_the_open_or_at_the_price_that_the_bar_reaches(tmp_path: Path, order: Any, expected: Any) -> None:
    venue = venue_of(tmp_path, BARS)
    made = place(venue, *order)
    waited = 0
    while made.is_open and venue.driver.advance():
        waited += 1
    got = (float(made.average), waited) if made.status is Status.FILLED else None
    assert got == expected


def book_venue(folder: Path, **book: Any) -> Any:
    settings = {"spread_bps": 100, "level_gap_bps": 100, "levels": 3, "level_value": 200, "participation": 0.5} | book
    return venue_of(folder, BARS, fills="book", book=settings)


def test_a_taker_pays_the_spread_and_walks_the_levels(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    order = place(venue, MARKET, BUY, 2)
    assert [float(t.price) for t in order.trades] == [100.5, 101.5]
    assert float(order.trades[0].size) == pytest.approx(100 / 100.5, abs=1e-4)
    assert not any(t.maker for t in order.trades)


def test_a_market_order_larger_than_the_book_expires_with_what_it_got(tmp_path: Path) -> None:
    order = place(book_venue(tmp_path), MARKET, BUY, 30)
    assert order.status is Status.EXPIRED
    assert 5 < order.filled < 6


def test_immediate_orders_never_rest(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    some = place(venue, LIMIT, BUY, 2, 100.5, tif=TimeInForce.IOC)
    none = place(venue, LIMIT, BUY, 2, 100.5, tif=TimeInForce.FOK)
    assert (some.status, some.filled > 0) == (Status.EXPIRED, True)
    assert (none.status, none.filled) == (Status.EXPIRED, 0)
    assert balance(venue, "USDT")[1] == 0


def test_a_resting_order_gets_its_share_of_what_is_printed_at_its_price(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    first, second = place(venue, LIMIT, BUY, 3, 99), place(venue, LIMIT, BUY, 3, 99)
    venue.driver.set_price("BTC/USDT", Decimal(99), Decimal(8))
    assert (float(first.filled), float(second.filled)) == (3, 1)
    assert all(t.maker and t.price == 99 for t in first.trades + second.trades)


def test_the_better_price_goes_first_whatever_its_age(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    worse, better = place(venue, LIMIT, BUY, 3, 98.5), place(venue, LIMIT, BUY, 3, 99)
    venue.driver.set_price("BTC/USDT", Decimal(98), Decimal(6))
    assert (float(worse.filled), float(better.filled)) == (0, 3)


def test_a_stop_is_triggered_by_the_last_trade_and_takes_from_the_book(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    stop = place(venue, STOP, SELL, 0.5, None, 95)
    venue.driver.set_price("BTC/USDT", Decimal("95.5"), Decimal(1))
    assert stop.is_open
    venue.driver.set_price("BTC/USDT", Decimal(94), Decimal(1))
    assert (stop.status, stop.average < 94) == (Status.FILLED, True)
