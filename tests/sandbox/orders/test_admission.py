"""Orders that break a rule of the venue are refused, and a refused order changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.venue import ACCOUNT
from tests.sandbox.small_market import FLAT, balance, place, recorded_events, request, venue_of

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
TAKE, MAKER = OrderType.TAKE_PROFIT, OrderType.LIMIT_MAKER
# Bar 1 opens at 100; bar 2 is 98..106.
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]


def test_an_open_order_locks_what_it_may_cost_and_gives_it_back(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    order = place(venue, LIMIT, BUY, 2, 90)
    assert balance(venue, "USDT") == (9820, 180)
    venue.exchange.cancel(order)
    assert balance(venue, "USDT") == (10_000, 0)
    place(venue, STOP, SELL, 3, None, 50)
    assert balance(venue, "BTC") == (7, 3)


REFUSALS = [
    ((MARKET, BUY, 101), RefusalReason.INSUFFICIENT_BALANCE),
    ((LIMIT, BUY, 200, 51), RefusalReason.INSUFFICIENT_BALANCE),
    ((MARKET, SELL, 10.5), RefusalReason.INSUFFICIENT_BALANCE),
    ((LIMIT, BUY, 1, 99.001), RefusalReason.PRICE_FILTER),
    ((LIMIT, BUY, 0.000001, 99), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 0.01, 99), RefusalReason.NOTIONAL),
    ((MARKET, BUY, 2000), RefusalReason.MARKET_LOT_SIZE),
    ((LIMIT, BUY, 10_001, 99), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 1, 1_000_000.01), RefusalReason.PRICE_FILTER),
    ((MAKER, BUY, 1, 100.5), RefusalReason.WOULD_TAKE),
]


@pytest.mark.parametrize(("order", "reason"), REFUSALS, ids=str)
def test_a_refused_order_changes_nothing(tmp_path: Path, order: Any, reason: RefusalReason) -> None:
    venue = venue_of(tmp_path, BARS)
    facts = recorded_events(venue)
    with pytest.raises(OrderRefused) as caught:
        place(venue, *order)
    assert caught.value.reason is reason
    assert (facts, balance(venue, "USDT"), balance(venue, "BTC")) == ([], (10_000, 0), (10, 0))
    assert not venue.exchange.order_index.orders


def book_venue(folder: Path, **book: Any) -> Any:
    settings = {"spread_bps": 100, "level_gap_bps": 100, "levels": 3, "level_value": 200, "participation": 0.5} | book
    return venue_of(folder, BARS, fills="book", book=settings)


@pytest.mark.parametrize("order", [(STOP, SELL, 1, None, 101), (STOP, BUY, 1, None, 99), (TAKE, SELL, 1, None, 99)], ids=str)
def test_a_trigger_already_passed_is_refused_in_book_mode(tmp_path: Path, order: Any) -> None:
    with pytest.raises(OrderRefused, match="trigger at once"):
        place(book_venue(tmp_path), *order)


def test_linked_orders_must_stand_on_both_sides_of_the_market(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    with pytest.raises(OrderRefused, match="wrong sides"):
        venue.exchange.place_list(ACCOUNT, [request(MAKER, SELL, 1, 90), request(STOP, SELL, 1, None, 80)])
    assert balance(venue, "BTC") == (10, 0)


def test_open_orders_are_counted_and_limited(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, max_orders=4, max_trigger_orders=2)
    for _ in range(2):
        place(venue, STOP, SELL, 0.1, None, 90)
    with pytest.raises(OrderRefused, match="trigger"):
        place(venue, STOP, SELL, 0.1, None, 90)
    for _ in range(2):
        place(venue, LIMIT, SELL, 0.1, 120)
    with pytest.raises(OrderRefused, match="too many"):
        place(venue, LIMIT, SELL, 0.1, 120)
    place(venue, MARKET, SELL, 0.1)
