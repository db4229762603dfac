"""The state store: a document waits for the mirror from the moment it changed, whatever happens to the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore, Urgency


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


def test_what_is_set_is_there_after_a_restart_and_waits_for_the_mirror(store: StateStore, tmp_path: Path) -> None:
    assert store.set("sessions/a", {"bars": 1})
    assert store.set("sessions/a", {"bars": 2})
    assert not store.set("sessions/a", {"bars": 2}), "nothing changed"
    again = StateStore(tmp_path / "state.db")
    assert again.get("sessions/a") == {"bars": 2}
    assert (again.get("sessions/b"), again.names("sessions/"), again.lag().waiting) == (None, ["sessions/a"], 1)
    again.close()


def test_a_document_that_changes_while_it_is_sent_waits_on(store: StateStore) -> None:
    store.set("sessions/a", {"n": 1})
    sent = store.waiting(10)
    store.set("sessions/a", {"n": 2})
    store.mirrored(sent)
    assert [event.body for event in store.waiting(10)] == [{"n": 2}]


def test_the_urgent_come_first_and_alone_where_that_is_asked(store: StateStore) -> None:
    store.set("sessions/a/trading_logs/1", {}, Urgency.LATER)
    store.set("sessions/a/fills/1", {})
    assert [event.name for event in store.waiting(10)] == ["sessions/a/fills/1", "sessions/a/trading_logs/1"]
    assert [event.name for event in store.waiting(10, Urgency.FIRST)] == ["sessions/a/fills/1"]


def test_the_documents_of_a_session_are_its_own(store: StateStore) -> None:
    for name in ("sessions/a", "sessions/a/fills/1", "sessions/ab", "sessions/ab/fills/1", "sessions/a-b"):
        store.set(name, {"name": name})
    assert set(store.documents("a")) == {"sessions/a", "sessions/a/fills/1"}
    store.forget("a")
    assert store.names() == ["sessions/a-b", "sessions/ab", "sessions/ab/fills/1"]


@given(st.permutations([Event(seq, "a/b", {"n": [token, seq]}, token) for token in (0, 1, 2) for seq in (1, 2, 3)]))
def test_an_older_event_never_replaces_a_newer_one_in_whatever_order_they_arrive(events: list[Event]) -> None:
    mirror = MemoryMirror()
    for event in events:
        mirror.put([event])
    assert mirror.documents["a/b"].body == {"n": [2, 3]}


def test_what_is_queued_again_is_newer_than_all_before(store: StateStore) -> None:
    for n in range(3):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    store.mirrored(store.waiting(10))
    store.token = 4
    store.requeue(["sessions/a/fills/1"])
    assert store.waiting(10) == [Event(4, "sessions/a/fills/1", {"n": 1}, 4, is_new=False)]


def test_a_document_is_new_until_the_mirror_was_given_it(store: StateStore) -> None:
    store.set("sessions/a", {"n": 1})
    sent = store.waiting(10)
    assert [event.is_new for event in sent] == [True]
    store.set("sessions/a", {"n": 2})
    assert store.waiting(10)[0].is_new
    store.mirrored(sent)
    assert not store.waiting(10)[0].is_new


def test_a_store_of_the_first_version_goes_on_with_what_waited(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript("""
            create table documents (name text primary key, seq integer not null, body text not null) without rowid;
            create table outbox (seq integer primary key autoincrement, name text not null, body text not null);
            insert into documents values ('sessions/a', 7, '{"n": 7}'), ('sessions/a/fills/1', 5, '{"n": 5}');
            insert into outbox values (6, 'sessions/a', '{"n": 6}'), (7, 'sessions/a', '{"n": 7}');
            pragma user_version = 1;
        """)
    store = StateStore(path)
    assert [(event.name, event.seq, event.body) for event in store.waiting(10)] == [("sessions/a", 7, {"n": 7})]
    store.set("sessions/a/fills/2", {})
    assert store.waiting(10)[-1].seq == 8
    store.close()


def test_a_store_that_others_could_read_is_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(0o644)
    with closing(StateStore(path)):
        assert path.stat().st_mode & 0o077 == 0
