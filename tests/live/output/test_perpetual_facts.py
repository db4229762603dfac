"""Marks and funding of a session: read from the venue once, kept, and stood in for where the venue does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.core.types import Timeframe
from forwardtrader.live.output.perpetual_facts import FactKeeping, SessionFacts
from forwardtrader.live.output.store import SessionStore
from forwardtrader.strategies.margin.series import MarkBar

SYMBOL = "BTC/USDT:USDT"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0


class Venue:
    """Marks of whole hours, `page` at once, and settlements at the times that it is made with."""

    def __init__(self, settled: dict[float, float], page: int = 3) -> None:
        self.settled, self.page_bars = settled, page
        self.asked = 0
        self.is_down = False

    def of_marks(self) -> Venue:
        return self

    def page(self, symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame:
        self._answer()
        times = pd.date_range(since, periods=self.page_bars, freq="h")
        hours = [(at - BEGIN) / timedelta(hours=1) for at in times]
        return pd.DataFrame({"open": hours, "high": [h + 2 for h in hours], "low": [h - 2 for h in hours], "close": hours}, index=times)

    def funding_page(self, symbol: str, since: datetime, until: datetime) -> Any:
        self._answer()
        times = [BEGIN + timedelta(hours=h) for h in self.settled]
        found = pd.Series(list(self.settled.values()), index=pd.DatetimeIndex(times))
        return found[(found.index >= since) & (found.index < until)]

    def _answer(self) -> None:
        self.asked += 1
        if self.is_down:
            raise VenueUnreachable("the venue is down")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    store = SessionStore(tmp_path / "session.db")
    yield store
    store.close()


def facts_of(store: SessionStore, venue: Venue, missing: list[str], known: int | None = None) -> SessionFacts:
    since = round(BEGIN.timestamp() * 1000)
    table = store.facts
    return SessionFacts(SYMBOL, Timeframe.parse("1h"), table, venue, since=since, known=known, hours=8, missing=missing.append)


def at(hours: float) -> float:
    return BEGIN.timestamp() + hours * HOUR


def test_a_mark_is_asked_for_once_and_nothing_is_known_of_earlier_bars(store: SessionStore) -> None:
    venue = Venue({})
    facts = facts_of(store, venue, [])
    assert facts.mark(at(1)) == facts.mark(at(1)) == MarkBar(1.0, 3.0, -1.0, 1.0)
    assert facts.mark(at(-1)) is None and facts.settlements(at(-8), at(0)) == []
    assert venue.asked == 1


def test_funding_at_odd_times_belongs_to_the_bar_that_contains_it(store: SessionStore) -> None:
    facts = facts_of(store, Venue({1.0: 0.001, 1.5: 0.002, 4.25: -0.003}), [])
    assert [facts.settlements(at(h), at(h + 1)) for h in range(5)] == [[], [0.001, 0.002], [], [], [-0.003]]


def test_where_the_venue_does_not_answer_usual_facts_stand_in_are_kept_and_are_told_once(store: SessionStore) -> None:
    venue, missing = Venue({8.0: 0.005}), list[str]()
    facts = facts_of(store, venue, missing)
    venue.is_down = True
    assert facts.mark(at(7)) is None and facts.mark(at(8)) is None
    assert facts.settlements(at(8), at(9)) == [0.0001]
    venue.is_down = False
    assert missing == ["the venue is down"]
    assert facts.settlements(at(8), at(9)) == [0.0001], "what was charged once is charged again"
    assert facts.mark(at(9)) is not None
    again = facts_of(store, venue, missing, known=round(at(9) * 1000))
    asked = venue.asked
    assert (again.mark(at(8)), again.settlements(at(8), at(9)), venue.asked) == (None, [0.0001], asked)


def test_what_the_venue_published_is_completed_page_by_page_from_where_it_ends(store: SessionStore) -> None:
    venue = Venue({2.5: 0.001, 6.0: 0.002, 11.0: 0.003})
    facts = facts_of(store, venue, [])
    facts.complete(round(at(7) * 1000))
    assert len(store.facts.marks(SYMBOL)) == 8 and store.facts.funding(SYMBOL).tolist() == [0.001, 0.002]
    facts.complete(round(at(12) * 1000))
    assert len(store.facts.marks(SYMBOL)) == 13 and store.facts.funding(SYMBOL).tolist() == [0.001, 0.002, 0.003]


def test_a_venue_that_cannot_be_asked_at_the_end_leaves_the_rest_unknown(store: SessionStore) -> None:
    venue, missing = Venue({}), list[str]()
    facts = facts_of(store, venue, missing)
    venue.is_down = True
    facts.complete(round(at(7) * 1000))
    assert store.facts.marks(SYMBOL).empty and missing == ["the venue is down"]


def test_a_rate_that_is_published_some_time_after_its_settlement_is_kept_with_the_next_bar(store: SessionStore) -> None:
    venue = Venue({2.5: 0.001})
    facts = facts_of(store, venue, [])
    facts.complete(round(at(4) * 1000))
    venue.settled[3.5] = 0.002
    facts.complete(round(at(5) * 1000))
    assert store.facts.funding(SYMBOL).tolist() == [0.001, 0.002]


def test_they_are_kept_as_they_come_and_a_venue_that_is_down_is_left_alone_for_a_minute(store: SessionStore) -> None:
    venue, missing, now = Venue({2.5: 0.001}), list[str](), [0.0]
    newest: list[int | None] = [None]
    keeping = FactKeeping([facts_of(store, venue, missing)], lambda: newest[0], monotonic=lambda: now[0])
    keeping.keep()
    assert venue.asked == 0, "no bar yet"
    newest[0] = round(at(3) * 1000)
    keeping.keep()
    assert len(store.facts.marks(SYMBOL)) == 4 and len(store.facts.funding(SYMBOL)) == 1
    asked = venue.asked
    keeping.keep()
    assert venue.asked == asked, "nothing is new"
    venue.is_down, newest[0] = True, round(at(5) * 1000)
    for now[0] in (1.0, 2.0, 60.0):
        keeping.keep()
    assert (venue.asked, missing) == (asked + 1, ["the venue is down"])
    venue.is_down = False
    keeping.keep(last=True)
    assert len(store.facts.marks(SYMBOL)) == 6
