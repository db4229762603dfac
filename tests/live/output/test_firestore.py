"""The mirror in Firestore, run against an emulator: nothing is lost, nothing is doubled, and nobody waits for it (F35)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings

from forwardtrader.core.errors import ConfigError, TradingError, VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.firestore import FirestoreLeases, FirestoreMirror, project_of_key
from forwardtrader.live.output.lease import Lease
from forwardtrader.live.output.state_store import Event, StateStore
from tests import PATIENCE_S
from tests.live.firestore_emulator import Emulator, deaf, emulator_here, new_project
from tests.live.recorded_session import wait_for


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


@pytest.fixture
def mirror(firestore: Emulator) -> FirestoreMirror:
    return FirestoreMirror(new_project())


def facts(body: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (body or {}).items() if name not in ("seq", "token")}


def test_everything_arrives_whole_and_the_newest_wins(mirror: FirestoreMirror, store: StateStore) -> None:
    outbox = MirrorQueue(store, mirror, every_s=0.05)
    for n in range(350):
        store.set(f"sessions/a/fills/{n:08d}", {"n": n, "symbol": "BTC/USDT", "price": 1.5})
        store.set("sessions/a", {"bars": n, **({"early": True} if n < 5 else {})})
    outbox.start()
    wait_for(lambda: not store.lag().waiting)
    outbox.stop()
    assert facts(mirror.get("sessions/a")) == {"bars": 349}
    assert [(mirror.get(f"sessions/a/fills/{n:08d}") or {})["n"] for n in (0, 99, 100, 349)] == [0, 99, 100, 349]
    assert mirror.get("sessions/b") is None
    below = mirror.below("sessions/a")
    assert sorted(below) == [f"sessions/a/fills/{n:08d}" for n in range(350)]
    mirror.delete(list(below)[:349])
    assert list(mirror.below("sessions/a")) == ["sessions/a/fills/00000349"]


def test_written_twice_changes_nothing_and_an_older_event_never_replaces_a_newer_one(mirror: FirestoreMirror) -> None:
    mirror.put([Event(5, "sessions/a", {"n": 5, "odd.name": {"deep": [1, 2]}})])
    mirror.put([Event(5, "sessions/a", {"n": 5, "odd.name": {"deep": [1, 2]}})])
    mirror.put([Event(4, "sessions/a", {"n": 4}), Event(1, "sessions/b", {"n": 1})])
    assert mirror.get("sessions/a") == {"n": 5, "odd.name": {"deep": [1, 2]}, "seq": 5, "token": 0}
    mirror.put([Event(6, "sessions/a", {"m": 6})])
    assert mirror.get("sessions/a") == {"m": 6, "seq": 6, "token": 0}
    assert mirror.get("sessions/b") == {"n": 1, "seq": 1, "token": 0}


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | NAMES
BODIES = st.dictionaries(NAMES, st.recursive(PLAIN, lambda inner: st.lists(PLAIN, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)))


@given(body=BODIES)
@settings(max_examples=50, deadline=None)
def test_a_write_is_the_one_that_the_client_itself_would_make(body: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        mirror = FirestoreMirror("practice-never-asked")
    batch = mirror._client.batch()
    batch.create(mirror._client.document("sessions/a"), {**body, "seq": 5, "token": 3})
    assert [mirror._made(Event(5, "sessions/a", body, 3), None)] == [write._pb for write in batch._write_pbs]


def test_a_document_that_changes_comes_back_as_it_was_written_whatever_its_fields_are_called(mirror: FirestoreMirror) -> None:
    bodies: list[dict[str, Any]] = [
        {"a.b": 1, "`": None, " ": [], "deep": {"x.y": {}, "n": [1.5, True, "text", {"in": []}]}},
        {"a.b": 2, "deep": {"z": -1}, "ü\\": "new", "large": 2**62},
        {},
    ]
    for number, body in enumerate(bodies, 1):
        mirror.put([Event(number, "sessions/a", body)])
        assert facts(mirror.get("sessions/a")) == body


def test_a_document_that_is_there_though_this_machine_thinks_it_is_new_is_read_first(mirror: FirestoreMirror) -> None:
    mirror.put([Event(5, "sessions/a", {"n": 5}), Event(6, "sessions/b", {"n": 6})])
    mirror.put([Event(4, "sessions/a", {"n": 4}, is_new=True), Event(7, "sessions/b", {"n": 7}, is_new=True)])
    mirror.put([Event(8, "sessions/c", {"n": 8}, is_new=True)])
    assert [facts(mirror.get(f"sessions/{name}")) for name in "abc"] == [{"n": 5}, {"n": 7}, {"n": 8}]


def test_what_a_machine_writes_whose_lease_another_one_took_is_older_whatever_it_counts(mirror: FirestoreMirror) -> None:
    mirror.put([Event(5000, "sessions/a", {"of": "old"}, token=1)])
    mirror.put([Event(1, "sessions/a", {"of": "new"}, token=2)])
    mirror.put([Event(5001, "sessions/a", {"of": "old"}, token=1)])
    assert facts(mirror.get("sessions/a")) == {"of": "new"}


def test_a_write_that_was_given_up_and_comes_late_is_refused(mirror: FirestoreMirror, firestore: Emulator) -> None:
    if not firestore.is_googles:
        pytest.skip("this emulator knows no conditions on the time of the last update")
    mirror.put([Event(1, "sessions/a", {"n": 1})])
    late = mirror._client.batch()
    mirror._add(late, Event(2, "sessions/a", {"n": 2}), mirror._held(["sessions/a"])["sessions/a"])
    mirror.put([Event(3, "sessions/a", {"n": 3})])
    with pytest.raises(Exception, match=r"version|condition"):
        late.commit(retry=None, timeout=3)
    assert mirror.get("sessions/a") == {"n": 3, "seq": 3, "token": 0}


def test_secrets_do_not_leave_the_machine(mirror: FirestoreMirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "s3cr3t-of-mine")
    url = "https://api.example.com/api/v3/order?symbol=BTCUSDT&signature=deadbeefdeadbeef"
    mirror.put([Event(1, "sessions/a", {"reason": url, "notes": [{"text": "s3cr3t-of-mine"}], "n": 1})])
    written = str(mirror.get("sessions/a"))
    assert "deadbeef" not in written
    assert "s3cr3t-of-mine" not in written
    assert "BTCUSDT" in written


def test_what_firestore_never_takes_is_told_from_what_it_takes_later(mirror: FirestoreMirror) -> None:
    with pytest.raises(VenueRefused, match="never takes"):
        mirror.put([Event(1, "sessions/a", {"n": [[1]]})])
    with pytest.raises(VenueRefused, match="never takes"):
        mirror.put([Event(1, "sessions/a", {"n": "x" * 1_100_000})])
    mirror.check("here")


def test_one_of_two_machines_gets_the_account_and_each_holder_a_higher_token(firestore: Emulator) -> None:
    project = new_project()
    one, other = FirestoreLeases(project), FirestoreLeases(project)
    now = time.time()
    assert one.take("x", Lease("a", now + 100, session="s"), now).token == 1
    refused = other.take("x", Lease("b", now + 100), now)
    assert (refused.holder, refused.session, refused.token) == ("a", "s", 1)
    assert now < refused.until <= now + 101, "by Firestore's own clock"
    assert one.take("x", Lease("a", now + 100, 1), now).token == 1
    assert one.take("x", Lease("a", now, 1), now).holder == "a", "given back"
    assert other.take("x", Lease("b", now + 100), now).token == 2
    assert one.take("x", Lease("a", now + 100, 1), now).holder == "b", "it cannot renew what it lost"


def test_a_machine_whose_clock_is_wrong_takes_no_lease_that_is_in_force(firestore: Emulator) -> None:
    leases, now = FirestoreLeases(new_project()), time.time()
    leases.take("x", Lease("a", now + 100), now)
    for wrong in (now + 86_400, now - 86_400):
        assert leases.take("x", Lease("b", wrong + 100), wrong).holder == "a"


@pytest.mark.slow
def test_an_emulator_that_is_down_fails_at_once_and_gets_everything_when_it_is_back(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = emulator_here()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{emulator.port}")
    mirror = FirestoreMirror(new_project())
    began = time.monotonic()
    with pytest.raises(VenueUnreachable):
        mirror.put([Event(1, "sessions/a", {"n": 1})])
    assert time.monotonic() - began < 8
    outbox = MirrorQueue(store, mirror, every_s=0.2)
    outbox.start()
    for n in range(50):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    wait_for(lambda: outbox.failures >= 2)
    try:
        emulator.start()
        wait_for(lambda: not store.lag().waiting)
        assert (mirror.get("sessions/a/fills/49") or {})["n"] == 49
        emulator.stop()  # empty when it comes again
        emulator.start()
        store.requeue(store.names())
        wait_for(lambda: not store.lag().waiting)
        outbox.stop()
        assert (mirror.get("sessions/a/fills/0") or {})["n"] == 0
    finally:
        emulator.stop()


def test_a_mirror_that_takes_connections_and_says_nothing_costs_whoever_writes_nothing(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deaf() as port:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
        outbox = MirrorQueue(store, FirestoreMirror(new_project()))
        outbox.start()
        for n in range(300):
            store.set(f"sessions/one/fills/{n:08d}", {"n": n})
        assert store.lag().waiting == 300
        began = time.monotonic()
        outbox.stop(0.1)
        assert time.monotonic() - began < PATIENCE_S / 2
        outbox.stop(PATIENCE_S)


# What a user does wrong


def key_file(folder: Path, project: str = "mine", **changed: str) -> Path:
    """A service account key as the console makes them, of nobody."""
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = {
        "type": "service_account", "project_id": project, "private_key_id": "1", "private_key": private.decode(),
        "client_email": f"it@{project}.example", "client_id": "1", "token_uri": "http://127.0.0.1:9/token",
    }  # fmt: skip
    path = folder / "key.json"
    path.write_text(json.dumps(made | changed))
    return path


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | str], None]:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    return lambda path: monkeypatch.setenv("FIREBASE_CREDENTIALS_PATH", str(path))


def test_a_key_that_is_missing_malformed_or_of_another_project_is_one_line(key: Callable[[Path | str], None], tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "torn.json").write_text('{"type": "service_acc')
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "text.json").write_text('"a key"')
    (tmp_path / "number.json").write_text(json.dumps(json.loads(key_file(tmp_path).read_text()) | {"private_key": 5}))
    for path, said in (
        ("", "FIREBASE_CREDENTIALS_PATH is not"), (tmp_path / "none.json", "not a readable service account key"),
        (tmp_path / "empty.json", "not a readable"), (tmp_path / "torn.json", "not a readable"), (tmp_path, "not a readable"),
        (tmp_path / "list.json", "not a readable"), (tmp_path / "text.json", "not a readable"),
        (tmp_path / "number.json", "not a readable"),
        (key_file(tmp_path), "for project mine, not practice"),
    ):  # fmt: skip
        key(path)
        with pytest.raises(ConfigError, match=said) as found:
            FirestoreMirror("practice")
        assert "\n" not in str(found.value)
    assert project_of_key() == "mine"


@contextmanager
def token_server(status: int, answer: Any) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_key_that_was_revoked_is_told_from_a_network_that_is_down(key: Callable[[Path | str], None], tmp_path: Path) -> None:
    revoked = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    project = new_project()
    with token_server(400, revoked) as address:
        key(key_file(tmp_path, project, token_uri=address))
        with pytest.raises(ConfigError, match="revoked"):
            FirestoreMirror(project).check("here")
    with pytest.raises(VenueUnreachable):  # nobody answers there any more
        FirestoreMirror(project).check("here")


SKEWED = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values."


@pytest.mark.parametrize(
    ("status", "answer", "kind", "said"),
    [
        (400, {"error": "invalid_grant", "error_description": SKEWED}, ConfigError, "clock is wrong"),
        (400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, ConfigError, "revoked"),
        (401, {"error": "deleted_client"}, ConfigError, "revoked"),
        (500, {"error": "internal_failure"}, VenueUnreachable, "does not answer"),
        (200, {"welcome": "log in to this network"}, VenueUnreachable, "does not answer"),
        (200, "<html>log in to this network</html>", VenueUnreachable, "does not answer"),
    ],
)
def test_what_answers_in_place_of_a_token_is_told_apart(
    status: int, answer: Any, kind: type[TradingError], said: str, key: Callable[[Path | str], None], tmp_path: Path
) -> None:
    project = new_project()
    with token_server(status, answer) as address:
        key(key_file(tmp_path, project, token_uri=address))
        with pytest.raises(kind, match=said) as found:
            FirestoreMirror(project).check("here")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8085", "127.0.0.1", "127.0.0.1:abc", "::::", "two words:80"])
def test_what_is_no_address_of_an_emulator_is_the_users_to_mend(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    with pytest.raises(ConfigError, match="write it as HOST:PORT"):
        FirestoreMirror(new_project())


class Refuse(grpc.GenericRpcHandler):
    """Answers every call with one error."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _request, context: context.abort(self.code, self.details))


@pytest.mark.parametrize(
    ("code", "details", "kind", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.", ConfigError, "Cloud Datastore User"),
        (grpc.StatusCode.NOT_FOUND, "The database (default) does not exist", ConfigError, "has no Firestore database"),
        (grpc.StatusCode.UNAUTHENTICATED, "Request had invalid credentials", ConfigError, "revoked"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded.", VenueBusy, "quota"),
        (grpc.StatusCode.UNAVAILABLE, "try later", VenueUnreachable, "does not answer"),
    ],
)
def test_what_firestore_answers_is_one_line_of_ours(
    code: grpc.StatusCode, details: str, kind: type[TradingError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = grpc.server(ThreadPoolExecutor(2), handlers=(Refuse(code, details),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    try:
        with pytest.raises(kind, match=said) as found:
            FirestoreMirror(new_project()).check("here")
        assert "\n" not in str(found.value)
        with pytest.raises(kind):
            FirestoreLeases(new_project()).take("x", Lease("a", 1), 0)
    finally:
        server.stop(0).wait()
