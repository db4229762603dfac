"""The driver opens, prints and closes bars in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from tests.sandbox.small_market import FLAT, candle_file, place, venue_of

BUY = Side.BUY
MARKET = OrderType.MARKET
# Bar 1 opens at 100; bar 2 is 98..106.
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]


def test_the_next_bar_is_open_before_the_closed_candle_is_published(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    orders: list[Any] = []

    def answer(fact: Any) -> None:
        if getattr(fact, "closed", False) and not orders:
            orders.append(place(venue, MARKET, BUY))

    venue.exchange.subscribe(answer)
    venue.driver.advance()
    assert float(orders[0].average) == 102


def test_a_market_that_misses_a_bar_is_halted_while_it_lasts(tmp_path: Path) -> None:
    path = candle_file(tmp_path / "gap.csv", [FLAT] * 6, skip=(3,))
    venue = venue_of(tmp_path, BARS, market=[str(path)])
    halted = []
    while not venue.driver.ended:
        halted.append(not venue.exchange.listings["BTC/USDT"].is_open)
        venue.driver.advance()
    assert halted == [False, False, True, False, False]
    with pytest.raises(OrderRefused, match="market closed"):
        place(venue, MARKET, BUY)
