"""Which machine trades an account: one at a time, and nobody waits for the store that says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import AccountLocked, VenueUnreachable
from forwardtrader.live.output.firestore import FirestoreLeases
from forwardtrader.live.output.lease import AccountLease, Lease, MemoryLeases, in_force
from tests.live.firestore_emulator import emulator_here


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


class Down:
    """A store that does not answer."""

    def take(self, name: str, wanted: Lease, now: float) -> Lease | None:
        raise VenueUnreachable("nobody there")


def lease(store: Any, holder: str, clock: Clock, lost: Any = lambda _reason: None) -> AccountLease:
    return AccountLease("binance-0123", store, holder, clock, lost)


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
    assert not first.renew()
    assert "traded by b" in heard[0] and "--resume" in heard[0]


def test_a_store_that_does_not_answer_keeps_nobody_from_trading() -> None:
    heard: list[str] = []
    held = lease(Down(), "a", Clock(), heard.append)
    held.start()
    assert held.renew() and heard == []
    held.close()
    assert not any(thread.name == "lease" for thread in threading.enumerate())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=30))
def test_there_is_never_more_than_one_holder_at_a_time(moves: list[tuple[str, int]]) -> None:
    store, now = MemoryLeases(), 0.0
    believed: dict[str, float] = {}  # until when each machine may think that it holds the account
    for holder, pause in moves:
        now += pause
        if store.take("x", Lease(holder, now + 180), now) is None:
            believed[holder] = now + 180
        else:
            believed.pop(holder, None)
        assert sum(until > now for until in believed.values()) <= 1
        assert in_force(store.held["x"], store.held["x"].holder, now) is None


def patiently(take: Callable[[str, Lease, float], Lease | None], account: str, wanted: Lease, now: float) -> Lease | None:
    """The answer of an emulator that may be too busy for the first ones; a lease may be asked for again."""
    until = time.monotonic() + 60.0
    while True:
        try:
            return take(account, wanted, now)
        except VenueUnreachable:
            if time.monotonic() > until:
                raise


@pytest.mark.slow
def test_in_firestore_one_of_two_machines_gets_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = emulator_here()
    emulator.start()
    try:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{emulator.port}")
        one, other = FirestoreLeases("practice-lease"), FirestoreLeases("practice-lease")
        assert patiently(one.take, "x", Lease("a", 100), 0) is None
        assert patiently(other.take, "x", Lease("b", 100), 0) == Lease("a", 100)
        assert patiently(one.take, "x", Lease("a", 200), 50) is None
        assert patiently(other.take, "x", Lease("b", 300), 150) == Lease("a", 200)
        assert patiently(other.take, "x", Lease("b", 300), 201) is None
        emulator.stop()
        with pytest.raises(VenueUnreachable):
            one.take("x", Lease("a", 500), 250)
    finally:
        emulator.stop()
