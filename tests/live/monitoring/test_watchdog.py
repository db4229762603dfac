"""Somebody looks from beside: what is wrong is noticed, said once, acted upon, and unsaid when it is over."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, VenueUnreachable
from forwardtrader.core.settings import RiskSettings
from forwardtrader.live.monitoring.watchdog import Signs, Watchdog, require_right_clock, troubles
from forwardtrader.live.venue.perpetuals import widest_gap
from forwardtrader.live.venue.retry import clock_offset
from tests.live.market import Script, play, practice, store_on

LIMITS = RiskSettings(max_stall_s=60, max_clock_offset_s=1)


@pytest.mark.parametrize(
    ("signs", "names"),
    [
        (Signs(), set()),
        (Signs(120.0, 60.0, -1.0), set()),
        (Signs(120.1, 0.0, 0.0), {"no_closed_bar"}),
        (Signs(0.0, 60.1, 0.0), {"loop_stalled"}),
        (Signs(0.0, 0.0, 1.1), {"clock_off"}),
        (Signs(500.0, 500.0, -30.0), {"no_closed_bar", "loop_stalled", "clock_off"}),
        (Signs(0.0, 0.0, 0.0, ("BTC/USDT:USDT", -0.05)), set()),
        (Signs(0.0, 0.0, 0.0, ("BTC/USDT:USDT", -0.051)), {"mark_far_from_last"}),
    ],
)
def test_every_trouble_has_its_bound(signs: Signs, names: set[str]) -> None:
    assert troubles(signs, LIMITS, 120.0).keys() == names


def test_where_the_market_waits_for_the_session_no_bar_is_overdue() -> None:
    assert troubles(Signs(1e6, 0.0), LIMITS, None) == {}


class Told:
    def __init__(self, *, holds: bool = True, offset: float | None = 0.0) -> None:
        self.now, self.said, self.held = 0.0, [], []
        self.offset: Any = offset
        self.dog = Watchdog(
            LIMITS, longest_bar_age_s=120.0, notify=lambda kind, level, **facts: self.said.append((kind, level)),
            hold=self.held.append if holds else None, clock_offset=self.ask, monotonic=lambda: self.now,
        )  # fmt: skip

    def ask(self) -> float | None:
        if isinstance(self.offset, Exception):
            raise self.offset
        return self.offset

    def at(self, now: float, *, turn: bool = True) -> None:
        self.now = now
        if turn:
            self.dog.turn()
        self.dog.look()


def test_a_trouble_is_said_once_holds_the_account_and_is_unsaid() -> None:
    told = Told()
    told.at(0.0)
    told.at(119.0)
    assert told.said == []
    told.at(121.0)
    told.at(125.0)
    assert told.said == [("no_closed_bar", "error")]
    assert told.held == ["no closed bar for 121 s"]
    assert told.dog.troubles == ("no closed bar for 125 s",)
    told.dog.bar()
    told.at(126.0)
    assert told.said[-1] == ("no_closed_bar_no_more", "info")
    assert told.held[-1] == ""


def test_a_loop_that_does_not_turn_is_noticed_from_outside() -> None:
    told = Told()
    told.at(0.0)
    told.at(61.0, turn=False)
    assert told.said == [("loop_stalled", "error")]


def test_a_session_that_only_wants_to_know_is_not_held() -> None:
    told = Told(holds=False)
    told.at(0.0)
    told.at(500.0)
    assert (told.said, told.held) == ([("no_closed_bar", "error")], [])


def test_the_clock_is_asked_for_every_ten_minutes_and_a_silent_venue_is_no_news() -> None:
    told = Told(offset=30.0)
    told.at(0.0)
    for minute in range(1, 10):
        told.dog.bar()
        told.at(minute * 60.0)
    assert told.said == []
    told.dog.bar()
    told.at(601.0)
    assert told.said == [("clock_off", "error")]
    told.offset = VenueUnreachable("no answer")
    told.dog.bar()
    told.at(1300.0)
    assert len([kind for kind, _ in told.said if kind == "clock_off"]) == 1
    told.offset = 0.1
    told.dog.bar()
    told.at(2000.0)
    assert ("clock_off_no_more", "info") in told.said


def test_nothing_is_overdue_before_the_session_waits_for_bars() -> None:
    told = Told()
    told.at(10_000.0, turn=False)
    assert told.said == []


def test_a_clock_that_is_off_is_refused_in_one_line() -> None:
    require_right_clock(0.9, LIMITS)
    require_right_clock(None, LIMITS)
    with pytest.raises(ConfigError, match=r"clock is -12\.0 s off.*no order was sent"):
        require_right_clock(-12.0, LIMITS)


class Ahead(SystemClock):
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=40)


def test_the_offset_is_the_one_between_the_venue_and_this_machine() -> None:
    with practice() as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.start()
        try:
            offsets = [store.loop.call(clock_offset(store.client, clock)) for clock in (SystemClock(), Ahead())]
        finally:
            store.stop()
    assert offsets[0] is not None and offsets[1] is not None
    assert offsets[1] - offsets[0] == pytest.approx(40, abs=1)


def test_a_store_that_could_not_connect_can_be_started_again() -> None:
    with practice() as venue:
        store = store_on(venue)
        store._base_url = "http://127.0.0.1:9"
        store.getdata(dataname="BTC/USDT")
        with pytest.raises(VenueUnreachable):
            store.start()
        store._datas.clear()
        store._base_url = venue.url
        run = play(venue, store, Script, 2, acts={0: lambda s: s.buy(size=0.001)})
        assert run.position.size > 0


def test_the_thread_ends_when_it_is_told_to() -> None:
    told = Told()
    told.dog.start()
    time.sleep(0.01)
    told.dog.stop()
    told.dog.stop()
    assert told.dog._thread is None


def test_a_mark_far_from_the_last_price_holds_entries_until_it_is_near_again() -> None:
    """Asked every thirty seconds; an answer that stays away changes nothing."""
    now, gaps, held = [0.0], [("BTC/USDT:USDT", 0.2), VenueUnreachable("away"), ("BTC/USDT:USDT", 0.01)], list[str]()

    def ask() -> tuple[str, float]:
        answer = gaps.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    dog = Watchdog(LIMITS, longest_bar_age_s=None, notify=lambda *_a, **_k: None, hold=held.append, mark_gap=ask, monotonic=lambda: now[0])
    for now[0] in (1.0, 31.0, 62.0, 93.0):
        dog.look()
    assert held == ["the mark of BTC/USDT:USDT is +20.0% off its last price", ""]


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
def test_the_gap_between_mark_and_last_price_is_read_from_the_venue(protocol: str) -> None:
    symbols = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
    with practice(protocol=protocol, symbols=symbols, mark_basis_bps=300) as venue:
        store = store_on(venue)
        store.getdata(dataname=symbols[0])
        store.getbroker()
        store.start()
        try:
            lasts = {symbols[0]: float(venue.state()["symbols"][symbols[0]]["last"])}
            found = store.loop.call(widest_gap(store.account.client, symbols, lasts.get))
        finally:
            store.stop()
    assert found == (symbols[0], pytest.approx(0.03, abs=1e-6))
