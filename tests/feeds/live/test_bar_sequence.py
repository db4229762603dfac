"""Closed bars come once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.live.bar_sequence import Arrival, Bar, BarSequence
from forwardtrader.feeds.live.poll_wait import PollRule, poll_wait, relative_volatility

STEP = 60_000


def bar(number: int, close: float = 1.0) -> Bar:
    return Bar(number * STEP, 1.0, 1.0, 1.0, close, 1.0)


def test_each_kind_of_arrival_is_told_apart() -> None:
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


@given(st.floats(-100, 10_000), st.floats(1, 100_000), st.floats(0, 100))
def test_a_poll_wait_stays_within_its_bounds(until: float, seconds: float, wild: float) -> None:
    rule = PollRule()
    assert rule.least <= poll_wait(rule, until_close=until, bar_seconds=seconds, relative_volatility=wild) <= rule.most


def test_a_wait_is_short_near_the_close_shorter_in_a_wild_market_longer_in_a_calm_one() -> None:
    rule = PollRule()
    waits = [
        poll_wait(rule, until_close=u, bar_seconds=3600, relative_volatility=a) for u, a in ((1, 1), (1800, 2), (1800, 1), (1800, 0.5))
    ]
    assert waits == [0.5, 15.0, 30.0, 60.0]


def test_agitation_is_one_where_nothing_is_known() -> None:
    assert relative_volatility([1.0, 1.1]) == 1.0
    assert relative_volatility([1.0, 1.0, 1.0] * 10 + [1.0, 1.1, 1.0, 1.1, 1.0, 1.1]) > 2
