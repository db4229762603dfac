"""State, its mirror, and alerts: what fails there never reaches the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forwardtrader.live.output.mirror import MirrorQueue
from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


def test_what_is_set_is_there_after_a_restart_and_waits_for_the_mirror(store: StateStore, tmp_path: Path) -> None:
    store.set("sessions/a", {"bars": 1})
    store.set("sessions/a", {"bars": 2})
    again = StateStore(tmp_path / "state.db")
    assert again.get("sessions/a") == {"bars": 2}
    assert (again.get("sessions/b"), again.names("sessions/"), again.lag()) == (None, ["sessions/a"], 2)
    again.close()


def test_an_older_event_never_replaces_a_newer_one() -> None:
    mirror = MemoryMirror()
    mirror.put([Event(2, "a/b", {"n": 2})])
    mirror.put([Event(1, "a/b", {"n": 1}), Event(2, "a/b", {"n": 2})])
    assert mirror.documents["a/b"].body == {"n": 2}


def test_a_mirror_that_was_lost_is_filled_again(store: StateStore) -> None:
    for n in range(3):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    store.mirrored(store.waiting(10))
    assert store.lag() == 0
    store.requeue_all()
    mirror = MemoryMirror()
    MirrorQueue(store, mirror).send_waiting()
    assert sorted(mirror.documents) == store.names()
