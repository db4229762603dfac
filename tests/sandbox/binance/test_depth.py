"""Depth streams send the best levels, or only what changed."""

from __future__ import annotations

from decimal import Decimal

from forwardtrader.sandbox.binance.depth import DepthStreams, changed
from forwardtrader.sandbox.orders.settings import BookSettings
from tests.sandbox.orders.made_orders import listing

BOOK = BookSettings(spread_bps=100, level_gap_bps=100, levels=3)


def test_changes_are_new_levels_other_sizes_and_removed_ones() -> None:
    assert changed({"1": "5", "2": "6", "3": "7"}, {"2": "6", "3": "8", "4": "9"}) == [["1", "0.00000000"], ["3", "8"], ["4", "9"]]
    assert changed({"1": "5"}, {"1": "5"}) == []


def test_the_first_update_is_the_whole_book_and_an_unchanged_one_is_empty() -> None:
    streams, held = DepthStreams(BOOK), listing(100)
    first = streams.changes("BTC/USDT", held, 5)
    assert (len(first["b"]), len(first["a"]), first["s"], first["E"]) == (3, 3, "BTCUSDT", 5)
    held.prints = 1
    second = streams.changes("BTC/USDT", held, 6)
    assert (second["b"], second["a"], second["U"], second["u"]) == ([], [], 1, 1)


def test_a_taken_level_is_the_only_change() -> None:
    streams, held = DepthStreams(BOOK), listing(100)
    streams.changes("BTC/USDT", held, 5)
    held.taken[Decimal("100.50")] = Decimal("0.001")
    update = streams.changes("BTC/USDT", held, 6)
    assert (update["b"], [price for price, _ in update["a"]]) == ([], ["100.50000000"])


def test_the_best_levels_are_as_many_as_the_stream_names() -> None:
    best = DepthStreams(BOOK).best(listing(100), 2)
    assert [price for price, _ in best["bids"]] == ["99.50000000", "98.50000000"]
    assert len(best["asks"]) == 2
