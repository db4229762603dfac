"""Garbage in cycles is collected while a session waits, and Python is left as it was found."""

from __future__ import annotations

import gc
import weakref

from forwardtrader.live.bridge.collector import Collector


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_a_cycle_is_collected_while_waiting_and_all_is_as_before_in_the_end() -> None:
    before, now = gc.get_threshold(), [0.0]
    collector = Collector(lambda: now[0])
    try:
        collector.idle()
        assert gc.get_threshold() != before
        assert gc.get_freeze_count() > 0
        knot = weakref.ref(Knot())
        assert knot() is not None
        now[0] = 1000.0
        collector.idle()
        assert knot() is None
    finally:
        collector.stop()
        collector.stop()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_collector_that_never_began_changes_nothing() -> None:
    before = gc.get_threshold()
    Collector().stop()
    assert gc.get_threshold() == before
