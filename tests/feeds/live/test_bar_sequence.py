"""Closed bars are delivered in order, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.bar_sequence import Arrival, BarSequence

STEP = 60_000


def bar(number: int, close: float = 1.0) -> Bar:
    return Bar(number * STEP, 1.0, 1.0, 1.0, close, 1.0)


def test_each_kind_of_arrival_is_recognised() -> None:
    order = BarSequence(STEP)
    assert order.arrival(bar(5)) is Arrival.NEXT
    order.deliver(bar(5))
    told = [order.arrival(b) for b in (bar(6), bar(8), bar(5), bar(5, 2.0), bar(3))]
    assert told == [Arrival.NEXT, Arrival.EARLY, Arrival.REPEATED, Arrival.REVISED, Arrival.OLD]
    assert order.deliver(bar(8)) == 2
    with pytest.raises(ValueError, match="not newer"):
        order.deliver(bar(8))


@given(st.lists(st.integers(0, 30), max_size=60))
def test_whatever_arrives_what_is_delivered_rises(numbers: list[int]) -> None:
    order, seen = BarSequence(STEP), []
    for number in numbers:
        if order.arrival(bar(number)) in (Arrival.NEXT, Arrival.EARLY):
            order.deliver(bar(number))
            seen.append(number)
    assert seen == sorted(set(seen))
