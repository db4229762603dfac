"""Finer bars by the bar they are inside of, and in order of time."""

from __future__ import annotations

from forwardtrader.strategies.detail.series import in_order, inner_of, may_touch
from forwardtrader.strategies.margin.series import MarkBar
from tests.strategies.detail.market import detail_of, path

FINE = path([101, 102, 103, 104], [105, 106, 107, 108], [109, 110, 111, 112])
HOUR = FINE.index[0].timestamp()


def test_a_bar_has_the_finer_ones_that_open_inside_it() -> None:
    series = detail_of(FINE, without=[1])
    assert [(bar.at - HOUR, bar.open, bar.close) for bar in series.inside(HOUR)] == [
        (0.0, 100.0, 101.0), (900.0, 101.0, 102.0), (1800.0, 102.0, 103.0), (2700.0, 103.0, 104.0),
    ]  # fmt: skip
    assert [series.has(HOUR + 3600.0 * hour) for hour in (-1, 0, 1, 2, 3)] == [False, True, False, True, False]
    assert series.inside(HOUR + 3600.0) == []
    assert [bar.open for bar in series.inside(HOUR + 7200.0)] == [108.0, 109.0, 110.0, 111.0]


def test_marks_are_there_where_they_are_known() -> None:
    marks = (FINE[["open", "high", "low", "close"]] * 2.0).iloc[:8]
    series = detail_of(FINE, marks)
    assert [bar.mark for bar in series.inside(HOUR)][:1] == [MarkBar(200.0, 202.0, 200.0, 202.0)]
    assert [bar.mark for bar in series.inside(HOUR + 7200.0)] == [None] * 4
    assert [series.has_marks(HOUR + 3600.0 * hour) for hour in (0, 1, 2, 3)] == [True, True, False, False]


def test_finer_bars_of_several_symbols_come_as_time_passes() -> None:
    quarter, half = detail_of(FINE).inside(HOUR), detail_of(path([3, 4]).set_axis(FINE.index[[0, 2]])).inside(HOUR)
    steps = list(in_order({"a": quarter, "b": half}))
    assert [(sorted(step), {bar.at for bar in step.values()}) for step in steps] == [
        (["a", "b"], {HOUR}), (["a"], {HOUR + 900.0}), (["a", "b"], {HOUR + 1800.0}), (["a"], {HOUR + 2700.0}),
    ]  # fmt: skip


def test_a_bar_reaches_a_stop_on_one_side_and_a_limit_on_the_other() -> None:
    found = [
        [may_touch(buys=b, stops=s, price=p, low=1.0, high=2.0) for p in (0.9, 1.0, 2.0, 2.1)] for b in (True, False) for s in (True, False)
    ]
    assert found == [[True, True, True, False], [False, True, True, True], [False, True, True, True], [True, True, True, False]]


def test_a_feed_that_nobody_goes_through_is_at_no_finer_bar() -> None:
    assert inner_of(object()) is None
    assert not detail_of(FINE).has_marks(HOUR)
