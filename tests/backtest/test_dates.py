"""The days a run trades."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from forwardtrader.backtest.dates import DEFAULT_SPAN, traded_span
from forwardtrader.core.errors import InvalidDates

NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)


class Fixed:
    def now(self) -> datetime:
        return NOW


def span(first: str | None, last: str | None) -> tuple[datetime, datetime]:
    return traded_span(first, last, Fixed())


def test_a_day_is_traded_whole_and_a_moment_is_not() -> None:
    assert span("2024-01-01", "2024-01-31")[1] == datetime(2024, 2, 1, tzinfo=UTC)
    assert span("2024-01-01", "2024-01-31T06:00")[1] == datetime(2024, 1, 31, 6, tzinfo=UTC)


def test_without_dates_the_last_two_years_are_traded() -> None:
    assert span(None, None) == (NOW - DEFAULT_SPAN, NOW)


def test_today_ends_now() -> None:
    assert span("2024-01-01", "2024-03-10")[1] == NOW


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        ("2025-01-01", None, "future"),
        ("2024-01-01", "2024-06-01", "future"),
        ("2024-02-01", "2024-01-01", "not before"),
        ("1.2.2024", None, "not a date"),
    ],
)
def test_dates_that_make_no_span_are_refused(first: str, last: str | None, why: str) -> None:
    with pytest.raises(InvalidDates, match=why):
        span(first, last)
