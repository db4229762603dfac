"""The state that machines share: refused where it never works, traded without only where the settings say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import AccountLocked, ConfigError, StartRefused, VenueUnreachable
from forwardtrader.live.mirror.mirror_status import mirror_status
from forwardtrader.live.mirror.session_mirror import SessionMirror
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore
from forwardtrader.live.preflight.owner import machine_name
from forwardtrader.live.preflight.shared_state import (
    check_shared_state,
    holder_of,
    lease_name,
    leased,
    require_newest,
    require_shared_state,
    synchronised,
)
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.venue.identity import AccountIdentity
from tests.live.firestore_emulator import Emulator, free_port, new_project


def request(folder: Path, project: str, *flags: str) -> LiveRequest:
    places = (
        f"live.sessions_path={folder}",
        f"live.state_path={folder / 'state.db'}",
        "live.firestore_project=" + (project or "''"),
        *flags,
    )
    return read_request(["--session", "one", *(word for setting in places for word in ("--set", setting))])


def test_where_firestore_is_not_set_up_nothing_is_asked(tmp_path: Path) -> None:
    require_shared_state(request(tmp_path, ""), pytest.fail)
    assert mirror_status(request(tmp_path, "").settings.live, SystemClock()) is None
    with pytest.raises(ConfigError, match=r"live\.firestore_project is empty"):
        synchronised(request(tmp_path, ""), SystemClock())


def test_what_is_set_up_wrong_is_refused_and_an_outage_where_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("FIREBASE_CREDENTIALS_PATH", str(tmp_path / "none.json"))
    for outage in ("trade", "hold"):
        with pytest.raises(ConfigError, match="service account key"):
            require_shared_state(request(tmp_path, new_project(), f"live.firestore_outage={outage}"), pytest.fail)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    project = new_project()
    said: list[str] = []
    require_shared_state(request(tmp_path, project), said.append)
    [line] = said
    assert line.startswith("no mirror for now: the Firestore emulator at 127.0.0.1") and "trading goes on without it" in line
    with pytest.raises(VenueUnreachable):
        require_shared_state(request(tmp_path, project, "live.firestore_outage=hold"), pytest.fail)
    with pytest.raises(VenueUnreachable):
        check_shared_state(request(tmp_path, project))


def test_an_account_has_one_lease_and_a_session_on_paper_one_by_its_name(tmp_path: Path) -> None:
    asked, account = request(tmp_path, "p"), AccountIdentity("binance", "api.binance.com:443", "0123456789ab", "spot")
    assert (lease_name(asked, account), lease_name(asked, None)) == ("binance-0123456789ab", "session-one")
    assert holder_of(asked, account) == machine_name()
    assert str(tmp_path) in holder_of(asked, None), "a folder each, where no lock of the account keeps them apart"


def test_what_another_machine_wrote_since_is_not_overwritten_unasked(firestore: Emulator, tmp_path: Path) -> None:
    project = new_project()
    asked = request(tmp_path, project)
    require_newest(asked, 0)
    FirestoreMirror(project).put([Event(1, "sessions/one", {"machine": "elsewhere"}, token=4)])
    with pytest.raises(StartRefused, match=r"last run by elsewhere; add --from-firestore"):
        require_newest(asked, 3)
    with pytest.raises(StartRefused):
        synchronised(asked, SystemClock())
    require_newest(asked, 4)
    FirestoreMirror(project).put([Event(2, "sessions/one", {"machine": machine_name()}, token=9)])
    require_newest(asked, 0)
    assert "takes writes" in check_shared_state(asked)


def test_a_refused_start_leaves_nothing_and_a_lease_keeps_a_second_folder_out(firestore: Emulator, tmp_path: Path) -> None:
    project, clock, lost = new_project(), SystemClock(), []
    asked = request(tmp_path, project)
    FirestoreMirror(project).put([Event(1, "sessions/one", {"machine": "elsewhere"}, token=4)])
    mirror = SessionMirror(asked, clock, machine_name(), mirror=MemoryMirror())
    for _ in range(2):  # a token that was kept would let the second try pass
        with pytest.raises(StartRefused), leased(asked, None, clock, mirror, lost.append):
            pass
    assert mirror.token == 0
    FirestoreMirror(project).put([Event(2, "sessions/one", {"machine": machine_name()}, token=4)])
    with leased(asked, None, clock, mirror, lost.append) as objection:
        assert (objection(), mirror.token) == ("", 3)
        other = request(tmp_path / "copy", project)
        with pytest.raises(AccountLocked, match="session-one is traded by"), leased(other, None, clock, mirror, lost.append):
            pass
    with leased(asked, None, clock, mirror, lost.append):
        assert mirror.token == 4, "given back at the end"
    mirror.close()
    assert lost == []


def test_the_status_says_how_far_the_mirror_is_behind(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "state.db")
    for n in range(3):
        store.set(f"sessions/one/fills/{n}", {"n": n})
    store.drop(store.waiting(1)[0], "too large")
    store.close()
    found = mirror_status(request(tmp_path, "mine").settings.live, SystemClock())
    assert found is not None
    assert (found.waiting, found.dropped, found.writes_per_day) == (2, 1, 20_000)
    assert "Firestore mine: 2 documents wait, the oldest for" in found.text and "1 refused, 0 of 20000 writes today" in found.text
