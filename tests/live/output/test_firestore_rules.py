"""The rules that are shipped: whoever has no service account reads and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import Event
from tests import ROOT
from tests.live.firestore_emulator import Emulator, awake, emulator_here, new_project

pytestmark = pytest.mark.slow  # an emulator of its own, with the rules
RULES = ROOT / "deploy" / "firestore.rules"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Emulator]:
    made = emulator_here(f"--rules={RULES}")
    if not made.is_googles:
        pytest.skip("this emulator knows no rules")
    made.start()
    yield made
    made.stop()


def ask(emulator: Emulator, project: str, path: str, method: str, **headers: str) -> int:
    """The status of a request for a document as a browser or a phone would send it."""
    address = f"http://127.0.0.1:{emulator.port}/v1/projects/{project}/databases/(default)/documents/{path}"
    data = json.dumps({"fields": {"price": {"doubleValue": 1.0}}}).encode() if method in ("PATCH", "POST") else None
    try:
        with urlopen(Request(address, data, {"Content-Type": "application/json", **headers}, method=method), timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def test_an_anonymous_client_reads_and_writes_nothing_and_a_service_account_everything(
    guarded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{guarded.port}")
    awake()
    project = new_project()
    names = ["sessions/a", "sessions/a/fills/1", "sessions/a/settings/1", "sessions/a/state/journal", "accounts/binance-0123", "checks/x"]
    FirestoreMirror(project).put([Event(1, name, {"price": 1.0}) for name in names])
    for name in [*names, "elsewhere/x"]:
        assert [ask(guarded, project, name, method) for method in ("GET", "PATCH", "DELETE")] == [403, 403, 403], name
    for folder in ("sessions", "sessions/a/fills", "accounts"):
        assert (ask(guarded, project, folder, "GET"), ask(guarded, project, folder, "POST")) == (403, 403), folder
    owner = {"Authorization": "Bearer owner"}  # what an emulator takes for a service account
    assert ask(guarded, project, "sessions/a", "GET", **owner) == 200
    assert FirestoreMirror(project).get("sessions/a/fills/1") == {"price": 1.0, "seq": 1, "token": 0}
