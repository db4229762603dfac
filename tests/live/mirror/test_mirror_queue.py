"""The mirror queue: everything arrives in the end, the urgent first, within the budget of the day, and nothing is lost in silence."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError, VenueRefused, VenueUnreachable
from forwardtrader.live.mirror.budget import WriteBudget
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore, Urgency
from tests import PATIENCE_S
from tests.live.recorded_session import wait_for

BEGAN = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(BEGAN)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db", clock)
    yield made
    made.close()


class Broken(MemoryMirror):
    """Fails some times, then works."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        super().__init__()
        self.left = failures
        self.error = error or ConnectionError("gone")

    def put(self, events: list[Event]) -> None:
        if self.left:
            self.left -= 1
            raise self.error
        super().put(events)


class Picky(MemoryMirror):
    """Never takes a document that says so."""

    def put(self, events: list[Event]) -> None:
        if any(event.body.get("bad") for event in events):
            raise VenueRefused("nested arrays")
        super().put(events)


def queue(store: StateStore, mirror: MemoryMirror, clock: FixedClock, heard: list[Any], most: int = 0) -> MirrorQueue:
    def notify(kind: str, level: str, **facts: object) -> None:
        heard.append((kind, level, facts))

    return MirrorQueue(store, mirror, budget=WriteBudget(most), clock=clock, notify=notify, every_s=0.01)


def test_a_mirror_that_was_away_gets_everything_in_the_end(store: StateStore, clock: FixedClock) -> None:
    mirror = Broken(2)
    outbox = queue(store, mirror, clock, [])
    for n in range(250):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    outbox.start()
    wait_for(lambda: not store.lag().waiting)
    outbox.stop()
    assert (len(mirror.documents), outbox.failures) == (250, 2)


def test_a_mirror_that_hangs_holds_nobody_up(store: StateStore, clock: FixedClock) -> None:
    released = threading.Event()

    class Hanging(MemoryMirror):
        def put(self, events: list[Event]) -> None:
            released.wait(PATIENCE_S)

    outbox = queue(store, Hanging(), clock, [])
    store.set("sessions/a", {"bars": 0})
    outbox.start()
    began = time.monotonic()
    for n in range(100):
        store.set("sessions/a", {"bars": n})
    assert time.monotonic() - began < PATIENCE_S / 2
    released.set()
    outbox.stop()


def test_beyond_the_budget_a_document_waits_for_the_next_day_and_the_urgent_are_written_yet(store: StateStore, clock: FixedClock) -> None:
    mirror, heard = MemoryMirror(), []
    outbox = queue(store, mirror, clock, heard, most=10)
    for n in range(20):
        store.set(f"sessions/a/trading_logs/{n:02d}", {"n": n}, Urgency.LATER)
    while outbox.send_waiting():
        pass
    assert len(mirror.documents) == 8, "four fifths"
    store.set("sessions/a/fills/1", {"n": 1})
    outbox._turn(0.01)
    assert "sessions/a/fills/1" in mirror.documents
    outbox._turn(0.01)
    assert [(kind, facts) for kind, _, facts in heard] == [("mirror_over_budget", {"waiting": 12, "writes_per_day": 10})], "once a day"
    clock.at += timedelta(days=1)
    outbox._turn(0.01)
    assert len(mirror.documents) == 8 + 1 + 8
    clock.at += timedelta(days=1)
    outbox._turn(0.01)
    assert (store.lag().waiting, len(mirror.documents)) == (0, 21), "nothing was lost"


def test_a_document_that_waits_and_changes_is_written_once_as_it_is_now(store: StateStore, clock: FixedClock) -> None:
    mirror = MemoryMirror()
    for n in range(50):
        store.set("sessions/a", {"n": n})
    outbox = queue(store, mirror, clock, [], most=1)
    while outbox.send_waiting():
        pass
    assert mirror.documents["sessions/a"].body == {"n": 49}
    assert not store.lag().waiting


def test_a_document_that_is_never_taken_is_told_and_keeps_no_other_one_back(store: StateStore, clock: FixedClock) -> None:
    mirror, heard = Picky(), []
    outbox = queue(store, mirror, clock, heard)
    for n in range(30):
        store.set(f"sessions/a/fills/{n:02d}", {"n": n, "bad": n == 17})
    while outbox.send_waiting():
        pass
    assert (len(mirror.documents), store.lag()) == (29, store.lag().__class__(0, None, 1))
    assert heard == [("mirror_dropped", "error", {"document": "sessions/a/fills/17", "reason": "nested arrays"})]
    store.set("sessions/a/fills/17", {"n": 17})  # it changes, and is good now
    assert outbox.send_waiting()
    assert (len(mirror.documents), store.lag().dropped) == (30, 0)


def test_batches_that_take_too_long_become_smaller_until_they_pass(store: StateStore, clock: FixedClock) -> None:
    class Slow(MemoryMirror):
        def put(self, events: list[Event]) -> None:
            if len(events) > 60:
                raise VenueUnreachable("DeadlineExceeded")
            super().put(events)

    mirror = Slow()
    outbox = queue(store, mirror, clock, [])
    for n in range(500):
        store.set(f"sessions/a/fills/{n:03d}", {"n": n})
    for _ in range(20):
        outbox._turn(0.01)
    assert (len(mirror.documents), store.lag().waiting) == (500, 0)


def test_a_lag_is_one_alert_and_its_end_another(store: StateStore, clock: FixedClock) -> None:
    mirror, heard = Broken(3), []
    outbox = queue(store, mirror, clock, heard)
    store.set("sessions/a", {"n": 1})
    outbox._turn(0.01)
    assert heard == []
    clock.at += timedelta(seconds=301)
    outbox._turn(0.01)
    outbox._turn(0.01)
    assert heard == [("mirror_lags", "warning", {"waiting": 1, "oldest_s": 301})]
    outbox._turn(0.01)
    assert heard[1:] == [("mirror_caught_up", "info", {})]


def test_a_key_that_is_refused_while_a_session_runs_is_one_alert(store: StateStore, clock: FixedClock) -> None:
    heard: list[Any] = []
    outbox = queue(store, Broken(3, ConfigError("Firestore refuses this key")), clock, heard)
    store.set("sessions/a", {"n": 1})
    for _ in range(4):
        outbox._turn(0.01)
    assert heard == [("mirror_refused", "error", {"reason": "Firestore refuses this key"})]
    assert not store.lag().waiting


def test_of_two_processes_that_share_a_store_one_sends(tmp_path: Path, store: StateStore, clock: FixedClock) -> None:
    first, second = MemoryMirror(), MemoryMirror()
    one, other = queue(store, first, clock, []), queue(store, second, clock, [])
    store.set("sessions/a", {"n": 1})
    one._turn(0.01)
    store.set("sessions/b", {"n": 1})
    other._turn(0.01)
    assert (set(first.documents), set(second.documents)) == ({"sessions/a"}, set())
    one._lock.release(force=True)  # it ended
    other._turn(0.01)
    assert set(second.documents) == {"sessions/b"}
    other._lock.release(force=True)


def test_what_waits_for_the_disk_is_the_queue_and_no_one_who_writes(store: StateStore, clock: FixedClock) -> None:
    for n in range(3000):
        store.set(f"sessions/a/trading_logs/{n:05d}", {"n": n, "text": "x" * 2000})
    assert in_the_file(store) == 0, "more than SQLite keeps beside the file by default, and no commit moved it"
    outbox = queue(store, Broken(10_000), clock, [])
    outbox.start()
    wait_for(lambda: outbox.failures)
    outbox.stop(PATIENCE_S)
    assert (in_the_file(store), store.lag().waiting) == (3000, 3000), "though nothing could be sent"


def in_the_file(store: StateStore) -> int:
    """How many documents are in the file itself, as after a loss of power at its worst."""
    with closing(sqlite3.connect(f"{store.path.as_uri()}?immutable=1", uri=True)) as db:
        [(made,)] = db.execute("select count(*) from sqlite_master where name = 'documents'").fetchall()
        return int(db.execute("select count(*) from documents").fetchone()[0]) if made else 0
