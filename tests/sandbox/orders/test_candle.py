"""Candles: aggregation to longer intervals, with the running one."""

from __future__ import annotations

from forwardtrader.sandbox.orders.candle import MONDAY_MS, WEEK_MS, CandleBook, interval_start, joined
from tests.sandbox.orders.made_orders import MINUTE, candle

FIVE = 5 * MINUTE


def test_a_week_starts_on_monday_and_other_intervals_at_the_epoch() -> None:
    assert interval_start(FIVE + 1, FIVE) == FIVE
    assert interval_start(MONDAY_MS + WEEK_MS - 1, WEEK_MS) == MONDAY_MS


def test_joined_candles_have_the_first_open_the_extremes_and_the_last_close() -> None:
    whole = joined([candle(1, 5, 1, 4, volume=2), candle(4, 6, 3, 5, start=MINUTE, volume=3)], 0)
    assert (whole.open, whole.high, whole.low, whole.close, whole.volume, whole.trades) == (1, 6, 1, 5, 5, 2)


def test_longer_candles_are_the_same_whether_asked_for_before_or_after_a_close() -> None:
    early, late = CandleBook(MINUTE), CandleBook(MINUTE)
    early.candles(FIVE)
    for n in range(13):
        for book in (early, late):
            book.close(candle(n + 1, n + 3, n + 1, n + 2, start=n * MINUTE))
    assert early.candles(FIVE) == late.candles(FIVE)
    assert [c.volume for c in late.candles(FIVE)] == [5, 5, 3]


def test_the_running_candle_is_the_last_one_at_every_interval() -> None:
    book = CandleBook(MINUTE, [candle(1, 2, 1, 2, start=0)])
    book.running = candle(2, 9, 2, 8, start=MINUTE)
    assert book.candles(MINUTE)[-1] is book.running
    [five] = book.candles(FIVE)
    assert (five.open, five.high, five.close) == (1, 9, 8)
    assert book.at(MINUTE, FIVE) == five


def test_an_interval_closes_with_its_last_base_candle() -> None:
    book = CandleBook(MINUTE)
    assert [book.closes_with(candle(1, 1, 1, 1, start=n * MINUTE), FIVE) for n in range(6)] == [False] * 4 + [True, False]
