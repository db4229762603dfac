"""Which machine trades an account: one at a time, and nobody waits for the store that says so."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import AccountLocked, VenueUnreachable
from forwardtrader.live.output.lease import AccountLease, Lease, MemoryLeases, Outage
from tests import PATIENCE_S


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class Down:
    """A store that does not answer."""

    def take(self, name: str, wanted: Lease, now: float) -> Lease:
        raise VenueUnreachable("nobody there")


class Flaky(MemoryLeases):
    """Answers as long as it is up."""

    is_up = True

    def take(self, name: str, wanted: Lease, now: float) -> Lease:
        if not self.is_up:
            raise VenueUnreachable("nobody there")
        return super().take(name, wanted, now)


def lease(store: Any, holder: str, clock: Clock, lost: Any = lambda _reason: None, outage: Outage = "trade") -> AccountLease:
    return AccountLease("binance-0123", store, holder, clock, lost, outage=outage)


def test_a_second_machine_is_refused_until_the_first_one_gives_the_account_back() -> None:
    store, clock = MemoryLeases(), Clock()
    first = lease(store, "a", clock)
    first.start()
    with pytest.raises(AccountLocked, match="binance-0123 is traded by a, by a lease until 00:03:00 UTC"):
        lease(store, "b", clock).start()
    first.close()
    second = lease(store, "b", clock)
    second.start()
    second.close()


def test_a_machine_that_died_holds_its_account_for_three_minutes_against_others_only() -> None:
    store, clock = MemoryLeases(), Clock()
    store.take("binance-0123", Lease("a", clock.at.timestamp() + 180), clock.at.timestamp())
    restarted = lease(store, "a", clock)
    restarted.start()
    clock.at += timedelta(seconds=179)
    with pytest.raises(AccountLocked):
        lease(store, "b", clock).start()
    clock.at += timedelta(seconds=2)
    other = lease(store, "b", clock)
    other.start()
    other.close()
    restarted.close()


def test_a_machine_whose_account_another_one_took_hears_of_it() -> None:
    store, clock, heard = MemoryLeases(), Clock(), []
    first = lease(store, "a", clock, heard.append)
    assert first.renew()
    clock.at += timedelta(minutes=5)  # it was cut off
    assert lease(store, "b", clock).renew()
    assert first.objection() == "the lease of binance-0123 has ended and could not be renewed yet"
    assert not first.renew()
    assert "traded by b" in first.objection()
    assert "traded by b" in heard[0] and "--resume" in heard[0]


def test_a_store_that_does_not_answer_keeps_nobody_from_trading() -> None:
    heard: list[str] = []
    held = lease(Down(), "a", Clock(), heard.append)
    held.start()
    assert held.renew() and heard == []
    held.close()
    assert not any(thread.name == "lease" for thread in threading.enumerate())


def test_a_store_that_goes_down_stops_new_exposure_only_where_the_settings_say_so() -> None:
    for outage, said in (("trade", ""), ("hold", "has ended")):
        store, clock = Flaky(), Clock()
        held = lease(store, "a", clock, outage=outage)
        assert held.renew() and held.objection() == ""
        store.is_up = False
        clock.at += timedelta(seconds=179)
        assert held.renew() and held.objection() == ""
        clock.at += timedelta(seconds=2)
        assert "has ended" in held.objection(), "nobody asked since: the machine was asleep"
        held.renew()
        assert said in held.objection() and bool(held.objection()) is bool(said)
        store.is_up = True
        assert held.renew() and held.objection() == ""


def test_an_answer_that_nobody_understands_does_not_end_the_renewing() -> None:
    class Odd(MemoryLeases):
        answers = 0

        def take(self, name: str, wanted: Lease, now: float) -> Lease:
            self.answers += 1
            if self.answers == 2:
                raise ValueError("no lease at all")
            return super().take(name, wanted, now)

    store, clock = Odd(), Clock()
    held = lease(store, "a", clock, outage="hold")
    held.start()
    until = time.monotonic() + PATIENCE_S
    while store.answers < 4:
        clock.at += timedelta(seconds=60)
        time.sleep(0.02)
        assert time.monotonic() < until, "the lease is renewed no more"
    held.close()


def test_without_the_store_a_session_that_holds_at_an_outage_does_not_start() -> None:
    with pytest.raises(VenueUnreachable):
        lease(Down(), "a", Clock(), outage="hold").start()


def test_a_store_that_was_wiped_gives_the_same_lease_again() -> None:
    store, clock = MemoryLeases(), Clock()
    held = lease(store, "a", clock)
    assert held.renew() and held.token == 1
    store.held["binance-0123"] = Lease("b", clock.at.timestamp(), 6)  # others had it, and gave it back
    second = lease(store, "a", clock)
    assert second.renew() and second.token == 7
    store.held.clear()
    assert second.renew() and second.token == store.held["binance-0123"].token == 7


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400), st.booleans()), max_size=30))
def test_there_is_never_more_than_one_holder_at_a_time_and_tokens_only_grow(moves: list[tuple[str, int, bool]]) -> None:
    store, now = MemoryLeases(), 0.0
    believed: dict[str, tuple[float, int]] = {}  # until when each machine may think that it holds the account, and its token
    newest = 0
    for holder, pause, starts in moves:
        now += pause
        token = 0 if starts or holder not in believed else believed[holder][1]
        given = store.take("x", Lease(holder, now + 180, token), now)
        if given.holder == holder and token in (0, given.token):
            assert given.token >= newest and (token or given.token > newest)
            newest, believed[holder] = given.token, (now + 180, given.token)
        else:
            believed.pop(holder, None)
        assert sum(until > now for until, _ in believed.values()) <= 1
