"""The mirror in Firestore, run against an emulator: nothing is lost, nothing is doubled, and nobody waits for it (F35)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError, VenueUnreachable
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.mirror import MirrorQueue, SessionMirror
from forwardtrader.live.output.state_store import Event, StateStore
from tests import PATIENCE_S
from tests.live.firestore_emulator import Emulator, emulator_here, free_port

pytestmark = pytest.mark.slow
_PROJECTS = iter(range(1000))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    made = emulator_here()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def project() -> str:
    return f"practice-{next(_PROJECTS)}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


def mirror_on(port: int, project: str, monkeypatch: pytest.MonkeyPatch) -> FirestoreMirror:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    return FirestoreMirror(project)


def awake(mirror: FirestoreMirror) -> FirestoreMirror:
    """The mirror, once the emulator behind it answers: a fresh one takes its time over the first requests."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            mirror.put([Event(1, "warm/up", {})])
            return mirror
        except VenueUnreachable:
            assert time.monotonic() < until, "the emulator does not answer"


def drained(store: StateStore, patience_s: float = 90.0) -> None:
    until = time.monotonic() + patience_s
    while store.lag():
        assert time.monotonic() < until, f"{store.lag()} events still wait"
        time.sleep(0.05)


def test_everything_arrives_whole_and_the_newest_wins(
    emulator: Emulator, project: str, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = awake(mirror_on(emulator.port, project, monkeypatch))
    outbox = MirrorQueue(store, mirror, every_s=0.05)
    for n in range(350):
        store.set(f"sessions/a/fills/{n:08d}", {"n": n, "symbol": "BTC/USDT", "price": 1.5})
        store.set("sessions/a", {"bars": n, **({"early": True} if n < 5 else {})})
    outbox.start()
    drained(store)
    outbox.stop()
    status = mirror.get("sessions/a")
    assert status is not None
    assert {k: status[k] for k in status if k != "seq"} == {"bars": 349}
    assert [(mirror.get(f"sessions/a/fills/{n:08d}") or {})["n"] for n in (0, 99, 100, 349)] == [0, 99, 100, 349]
    assert mirror.get("sessions/b") is None


def test_written_twice_changes_nothing_and_an_older_event_never_replaces_a_newer_one(
    emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = awake(mirror_on(emulator.port, project, monkeypatch))
    mirror.put([Event(5, "sessions/a", {"n": 5, "odd.name": {"deep": [1, 2]}})])
    mirror.put([Event(5, "sessions/a", {"n": 5, "odd.name": {"deep": [1, 2]}})])
    mirror.put([Event(4, "sessions/a", {"n": 4}), Event(1, "sessions/b", {"n": 1})])
    assert mirror.get("sessions/a") == {"n": 5, "odd.name": {"deep": [1, 2]}, "seq": 5}
    mirror.put([Event(6, "sessions/a", {"m": 6})])
    assert mirror.get("sessions/a") == {"m": 6, "seq": 6}
    assert mirror.get("sessions/b") == {"n": 1, "seq": 1}


def test_a_write_that_was_given_up_and_comes_late_is_refused(emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not emulator.is_googles:
        pytest.skip("this emulator knows no conditions on the time of the last update")
    mirror = awake(mirror_on(emulator.port, project, monkeypatch))
    mirror.put([Event(1, "sessions/a", {"n": 1})])
    late = mirror._client.batch()
    mirror._add(late, Event(2, "sessions/a", {"n": 2}), mirror._held(["sessions/a"])["sessions/a"])
    mirror.put([Event(3, "sessions/a", {"n": 3})])
    with pytest.raises(Exception, match=r"version|condition"):
        late.commit(retry=None, timeout=3)
    assert mirror.get("sessions/a") == {"n": 3, "seq": 3}


def test_secrets_do_not_leave_the_machine(emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "s3cr3t-of-mine")
    mirror = awake(mirror_on(emulator.port, project, monkeypatch))
    url = "https://api.example.com/api/v3/order?symbol=BTCUSDT&signature=deadbeefdeadbeef"
    mirror.put([Event(1, "sessions/a", {"reason": url, "notes": [{"text": "s3cr3t-of-mine"}], "n": 1})])
    written = str(mirror.get("sessions/a"))
    assert "deadbeef" not in written
    assert "s3cr3t-of-mine" not in written
    assert "BTCUSDT" in written


def test_an_emulator_that_is_down_fails_at_once_and_gets_everything_when_it_is_back(
    emulator: Emulator, project: str, store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.stop()
    mirror = mirror_on(emulator.port, project, monkeypatch)
    began = time.monotonic()
    with pytest.raises(VenueUnreachable):
        mirror.put([Event(1, "sessions/a", {"n": 1})])
    assert time.monotonic() - began < 8
    outbox = MirrorQueue(store, mirror, every_s=0.2)
    outbox.start()
    for n in range(50):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    until = time.monotonic() + PATIENCE_S
    while outbox.failures < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert outbox.failures >= 2
    emulator.start()
    drained(store)
    assert (mirror.get("sessions/a/fills/49") or {})["n"] == 49
    emulator.stop()  # empty when it comes again
    emulator.start()
    store.requeue_all()
    drained(store)
    outbox.stop()
    assert (mirror.get("sessions/a/fills/0") or {})["n"] == 0


def test_a_mirror_that_takes_connections_and_says_nothing_costs_the_session_nothing(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    deaf = socket.create_server(("127.0.0.1", port))
    held: list[Any] = []
    threading.Thread(target=lambda: [held.append(deaf.accept()) for _ in range(50)], daemon=True).start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    settings = LiveSettings(state_path=str(tmp_path / "state.db"), firestore_project=project)
    mirror = SessionMirror(settings, "one")
    slowest = 0.0
    for n in range(300):
        began = time.monotonic()
        mirror.note(f"{n:08d}", {"n": n})
        mirror.status({"bars": n}, now=True)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1.0
    began = time.monotonic()
    lag = mirror.store.lag()
    mirror.close()
    assert lag == 600
    assert time.monotonic() - began < 8


def test_a_key_file_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: str) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("FIREBASE_CREDENTIALS_PATH", str(tmp_path / "none.json"))
    with pytest.raises(ConfigError, match="service account"):
        FirestoreMirror(project)
