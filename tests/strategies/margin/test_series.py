"""Marks and settlements are found by their bar."""

from __future__ import annotations

import numpy as np

from forwardtrader.strategies.margin.series import MarkBar, PerpetualSeries

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
