"""The write budget of a day."""

from __future__ import annotations

from datetime import UTC, datetime

from forwardtrader.live.mirror.budget import WriteBudget, day_of
from forwardtrader.live.output.state_store import Urgency


def test_a_fifth_of_the_day_is_left_for_what_comes_first() -> None:
    budget = WriteBudget(20_000)
    assert (budget.left(0, Urgency.LATER), budget.left(0, Urgency.FIRST)) == (16_000, 20_000)
    assert (budget.left(16_000, Urgency.LATER), budget.left(16_000, Urgency.FIRST)) == (0, 4_000)
    assert budget.left(25_000, Urgency.FIRST) == 0
    assert WriteBudget(0).left(10**9, Urgency.LATER) > 0


def test_a_day_begins_at_midnight_where_the_quota_does_in_summer_and_in_winter() -> None:
    assert [day_of(datetime(2026, 7, 2, hour, tzinfo=UTC)) for hour in (6, 7)] == ["2026-07-01", "2026-07-02"]
    assert [day_of(datetime(2026, 1, 2, hour, tzinfo=UTC)) for hour in (7, 8)] == ["2026-01-01", "2026-01-02"]
