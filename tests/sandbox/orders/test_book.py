"""The simulated book: a spread around the last price, levels on the grid, less what was taken."""

from __future__ import annotations

from decimal import Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.book import best, side_levels
from forwardtrader.sandbox.orders.settings import BookSettings
from tests.sandbox.orders.made_orders import listing

BOOK = BookSettings(spread_bps=100, level_gap_bps=100, levels=3, level_value=200)


def test_bid_and_ask_lie_half_the_spread_from_the_last_price() -> None:
    bid, ask = best(listing(100), BOOK)
    assert (bid.price, ask.price) == (Decimal("99.50"), Decimal("100.50"))


def test_the_spread_is_at_least_a_tick() -> None:
    bid, ask = best(listing(100), BookSettings(spread_bps=0))
    assert ask.price - bid.price >= Decimal("0.01")


def test_levels_lead_away_from_the_middle_and_grow() -> None:
    levels = side_levels(listing(100), BOOK, Side.SELL, 10)
    assert [level.price for level in levels] == [Decimal("100.50"), Decimal("101.50"), Decimal("102.50")]
    assert levels[0].size < levels[1].size < levels[2].size
    assert [level.price for level in side_levels(listing(100), BOOK, Side.BUY, 2)] == [Decimal("99.50"), Decimal("98.50")]


def test_sizes_lie_on_the_step_and_lack_what_was_taken() -> None:
    held = listing(100)
    whole = side_levels(held, BOOK, Side.SELL, 1)[0]
    assert whole.size % held.rules.step == 0
    held.taken[whole.price] = Decimal("0.1")
    assert side_levels(held, BOOK, Side.SELL, 1)[0].size == whole.size - Decimal("0.1")
    held.taken[whole.price] = whole.size * 2
    assert side_levels(held, BOOK, Side.SELL, 1)[0].size == 0


def test_no_level_has_a_price_of_nothing() -> None:
    assert all(level.price > 0 for level in side_levels(listing(0.02), BookSettings(spread_bps=0), Side.BUY, 20))
