"""The bar barrier: bars of several symbols are released in step."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.live.bar_sequence import Bar
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
