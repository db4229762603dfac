"""The flow of a minute in four numbers."""

from __future__ import annotations

import pytest

from forwardtrader.feeds.recording.minute_flow import MinuteFlow


def test_spread_and_imbalances_are_means_of_what_was_seen() -> None:
    flow = MinuteFlow()
    flow.add_top(99.0, 3.0, 101.0, 1.0)
    flow.add_top(99.5, 1.0, 100.5, 1.0)
    flow.add_trade(2.0, is_buy=True)
    flow.add_trade(1.0, is_buy=False)
    assert flow.row() == pytest.approx((150.0, 0.25, 1 / 3, 2))


def test_a_book_that_is_crossed_or_empty_says_nothing() -> None:
    flow = MinuteFlow()
    flow.add_top(101.0, 1.0, 100.0, 1.0)
    flow.add_top(0.0, 1.0, 100.0, 1.0)
    flow.add_top(99.0, 0.0, 100.0, 0.0)
    assert flow.row() is None
    flow.add_top(99.0, 1.0, 101.0, 1.0)
    assert flow.row() == pytest.approx((200.0, 0.0, 0.0, 0))
