"""The driver opens, prints and closes bars in order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import CandleChanged, Printed
from forwardtrader.sandbox.market.driver import scaled
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from tests.sandbox.orders.made_orders import MINUTE, candle
from tests.sandbox.small_market import FLAT, START, SYMBOL, candle_file, place, recorded_events, venue_of

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


def test_a_pushed_candle_is_played_before_the_one_that_was_next(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    second = START + 2 * MINUTE
    venue.driver.push(SYMBOL, candle(50, 60, 40, 55, start=second))
    venue.driver.advance()
    bar = venue.exchange.listings[SYMBOL].bar
    assert bar is not None and (bar.start, bar.open) == (second, 50)
    venue.driver.advance()
    bar = venue.exchange.listings[SYMBOL].bar
    assert bar is not None and (bar.start, bar.open) == (second + MINUTE, 100)


def test_a_shift_multiplies_the_prices_from_the_next_bar_on(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    venue.driver.shift(SYMBOL, Decimal("0.5"))
    listing = venue.exchange.listings[SYMBOL]
    assert listing.last == 100
    venue.driver.advance()
    assert listing.bar is not None and (listing.bar.open, listing.bar.high) == (51, 53)


def test_a_hidden_bar_is_neither_published_nor_stored(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    hidden = START + 2 * MINUTE
    venue.driver.hides = lambda symbol: venue.market_clock() == hidden
    events = recorded_events(venue)
    while venue.driver.advance():
        pass
    assert hidden not in [c.start for c in venue.exchange.listings[SYMBOL].candles.closed]
    assert hidden not in [event.candle.start for event in events if isinstance(event, CandleChanged)]
    assert hidden + MINUTE in [c.start for c in venue.exchange.listings[SYMBOL].candles.closed]


def test_skipping_plays_the_prints_before_a_moment(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, ticks_per_bar=6)
    events = recorded_events(venue)
    venue.driver.skip_to(venue.market_clock() + 25_000)
    assert sum(isinstance(event, Printed) for event in events) == 3  # at 0, 10 and 20 seconds
    assert venue.market_clock() % MINUTE == 25_000


def test_skipping_over_the_end_of_a_bar_closes_it_and_the_market_goes_on(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, ticks_per_bar=6)
    candles = venue.exchange.listings[SYMBOL].candles
    first = candles.running
    assert first is not None
    venue.driver.skip_to(venue.market_clock() + 45_000)  # within the bar
    venue.driver.skip_to(venue.market_clock() + 30_000)  # less than a bar later, and in the next one
    assert candles.closed[-1].start == first.start
    assert candles.running is not None and candles.running.start == first.start + MINUTE
    assert venue.market_clock() == first.start + 75_000


def test_a_bar_is_scaled_on_its_grid() -> None:
    assert scaled(candle(10, 12, 9, 11), Decimal("0.333"), Decimal("0.5")) == candle(3.5, 4, 3, 3.5)


def test_a_candle_pushed_into_a_gap_is_followed_by_the_one_that_was_next(tmp_path: Path) -> None:
    path = candle_file(tmp_path / "gap.csv", [FLAT] * 5, skip=(2,))
    venue = venue_of(tmp_path, BARS, market=[str(path)])
    venue.driver.push(SYMBOL, candle(50, 60, 40, 55, start=START + 2 * MINUTE))
    while venue.driver.advance():
        pass
    closed = venue.exchange.listings[SYMBOL].candles.closed
    assert [(bar.start - START) // MINUTE for bar in closed] == [0, 1, 2, 3, 4]
    assert closed[2].open == 50


def test_nobody_hears_of_the_prints_that_follow_on_one_that_met_an_open_order(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, [(100.0, 111.0, 89.0, 105.0), FLAT])
    place(venue, OrderType.STOP, Side.SELL, stop=90)
    events = recorded_events(venue)
    told = [venue.driver.tick(holds=True) for _ in range(venue.driver.ticks)]
    assert told == [{SYMBOL: 100}, {SYMBOL: 89}, {}, {}]
    assert [event.price for event in events if isinstance(event, Printed)] == [100, 89]
    venue.driver.advance()
    [closed] = [event.candle for event in events if isinstance(event, CandleChanged) and event.closed]
    assert (closed.high, closed.low, closed.close) == (111, 89, 105), "the bar is whole all the same"
