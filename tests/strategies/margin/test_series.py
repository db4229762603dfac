"""Marks and settlements are found by their bar."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.strategies.margin.series import ASSUMED_RATE, AssumedFacts, MarkBar, PerpetualSeries

SERIES = PerpetualSeries(
    opened=np.array([0.0, 3600.0]), marks=np.array([[1.0, 2.0, 0.5, 1.5], [np.nan] * 4]),
    settled=np.array([0.0, 1800.0, 3600.0]), rates=np.array([0.1, 0.2, 0.3]),
)  # fmt: skip


def test_a_bar_has_the_marks_of_its_own_time_or_none() -> None:
    assert SERIES.mark(0.0) == MarkBar(1.0, 2.0, 0.5, 1.5)
    assert [SERIES.mark(at) for at in (1.0, 3600.0, 7200.0)] == [None, None, None]


def test_settlements_from_the_open_of_a_bar_on_belong_to_it() -> None:
    assert SERIES.settlements(0.0, 3600.0) == [0.1, 0.2]
    assert SERIES.settlements(3600.0, 7200.0) == [0.3]
    assert SERIES.settlements(7200.0, 1e9) == []


def test_the_worst_mark_is_low_for_a_long_and_high_for_a_short() -> None:
    bar = MarkBar(1.0, 2.0, 0.5, 1.5)
    assert (bar.worst(1.0), bar.worst(-1.0)) == (0.5, 2.0)


def test_facts_that_are_not_given_are_a_usual_rate_at_usual_times_and_never_nothing() -> None:
    day = 86_400.0
    for hours, rates in ((8, 3), (4, 6), (0, 3)):
        assumed = AssumedFacts(hours)
        assert assumed.mark(0.0) is None
        found = assumed.settlements(day, 2 * day)
        assert (len(found), sum(found)) == (rates, pytest.approx(3 * ASSUMED_RATE))
        opened = np.arange(24) * 3600.0 + day
        over = assumed.over(opened, 3600.0)
        assert over.settlements(day, 2 * day) == found
        assert over.settled.tolist() == assumed.times(day, 2 * day).tolist()
