"""The bar barrier: bars of several symbols are released in step."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.bridge.bar_barrier import BarBarrier


def bar(at: int) -> Bar:
    return Bar(at, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_the_barrier_waits_for_every_symbol() -> None:
    barrier = BarBarrier(["A", "B"], threading.Condition(), monotonic=lambda: 0.0)
    barrier.put("A", bar(1))
    assert barrier.take("A") is None
    barrier.put("B", bar(1))
    assert (barrier.take("A"), barrier.take("B")) == (bar(1), bar(1))


def test_the_barrier_goes_on_without_a_symbol_that_has_no_bar_or_does_not_come() -> None:
    now = [0.0]
    barrier = BarBarrier(["A", "B"], threading.Condition(), bar_timeout_s=5, monotonic=lambda: now[0])
    barrier.put("A", bar(1))
    barrier.quiet("B", 1)
    assert barrier.take("A") == bar(1)
    barrier.put("A", bar(2))
    assert barrier.take("A") is None
    now[0] = 6.0
    assert barrier.take("A") == bar(2)
    assert barrier.missed == 1
    barrier.put("A", bar(3))
    barrier.put("B", bar(4))
    assert barrier.take("A") == bar(3)
    assert barrier.take("B") is None


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 8)), max_size=30))
def test_released_bars_never_run_backwards(puts: list[tuple[str, int]]) -> None:
    barrier = BarBarrier(["A", "B"], threading.Condition(), bar_timeout_s=1e9, monotonic=lambda: 0.0)
    newest = {"A": -1, "B": -1}
    seen: list[int] = []
    for symbol, at in puts:
        if at > newest[symbol]:
            newest[symbol] = at
            barrier.put(symbol, bar(at))
        for each in "AB":
            while (taken := barrier.take(each)) is not None:
                seen.append(taken.at)
                assert taken.at <= min(newest.values())
    assert all(at <= max(newest.values()) for at in seen)


@pytest.mark.parametrize("first", ["short", "long"])
def test_bars_of_two_lengths_that_close_together_come_together_whichever_arrives_first(first: str) -> None:
    wake, now = threading.Condition(), [0.0]
    short, long = (BarBarrier(["A"], wake, step_ms=step, bar_timeout_s=5, monotonic=lambda: now[0]) for step in (1, 5))
    short.beside, long.beside = [long], [short]
    for at in range(4):  # nothing closes beside these
        short.put("A", bar(at))
        assert short.take("A") == bar(at)
    arrivals = {"short": (short, bar(4)), "long": (long, bar(0))}
    one, other = arrivals.pop(first), *arrivals.values()
    one[0].put("A", one[1])
    assert one[0].take("A") is None, "the other one closes at the same moment"
    other[0].put("A", other[1])
    assert (short.take("A"), long.take("A")) == (bar(4), bar(0))
    long.put("A", bar(5))
    assert long.take("A") is None, "the short ones before it have not come"
    for at in range(5, 9):
        short.put("A", bar(at))
        assert short.take("A") == bar(at)
    short.quiet("A", 9)
    assert long.take("A") == bar(5)
    short.put("A", bar(14))
    now[0] += 6
    assert short.take("A") is None, "it has only just come"
    now[0] += 6
    assert short.take("A") == bar(14), "the longer one does not come"
    assert long.missed == 1
