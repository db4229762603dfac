"""Synchronising: the mirror equals the files document by document afterwards, and what differed is told."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, NotObeyed, VenueUnreachable
from forwardtrader.live.mirror.session_mirror import SessionMirror
from forwardtrader.live.mirror.sync import Differences, synchronise
from forwardtrader.live.output.state_store import Event, StateStore, plain
from tests.live.mirror.memory import ListedMemory
from tests.live.mirror.test_session_mirror import request_in
from tests.live.recorded_session import SYMBOLS, RecordedSession, moment, recorded


@pytest.fixture
def there(tmp_path: Path) -> Any:
    """What a mirror has of a session of 60 bars."""
    with recorded(tmp_path / "one", 60) as session:
        (session.folder / "plan.json").write_text(json.dumps({"symbols": list(SYMBOLS), "first_live": moment(0).isoformat()}))
        yield mirrored(tmp_path, session)


def mirrored(folder: Path, session: RecordedSession) -> ListedMemory:
    mirror = ListedMemory()
    writer = SessionMirror(request_in(folder), SystemClock(), "here", mirror=mirror)
    writer.leased(3)
    writer.write(session.status(), last=True)
    writer.close()
    return mirror


def bodies(mirror: ListedMemory) -> dict[str, Any]:
    return {name: plain(mirror.get(name) or {}) for name in mirror.documents}


def sync(folder: Path, mirror: ListedMemory, *flags: str) -> Differences:
    return synchronise(request_in(folder, *flags), SystemClock(), mirror)


def test_a_mirror_that_is_equal_is_left_as_it_is(tmp_path: Path, there: ListedMemory) -> None:
    before = dict(there.documents)
    found = sync(tmp_path, there)
    assert found.lines == [f"{len(before)} documents compared, {len(before)} were equal"]
    assert there.documents == before


def test_what_was_lost_changed_or_added_is_put_right_and_told(tmp_path: Path, there: ListedMemory) -> None:
    before = bodies(there)
    del there.documents["sessions/one/fills/00000002"]
    changed = there.documents["sessions/one/fills/00000001"]
    there.documents["sessions/one/fills/00000001"] = replace(changed, body={"price": 1.0}, seq=10**6)
    there.put([Event(1, "sessions/one/fills/00000099", {"price": 1.0}), Event(1, "sessions/other/fills/1", {})])
    found = sync(tmp_path, there)
    assert found.missing == ["sessions/one/fills/00000002"]
    assert found.beyond == ["sessions/one/fills/00000099"]
    assert "1 different, written anew: sessions/one/fills/00000001" in found.lines
    assert bodies(there) == {**before, "sessions/other/fills/1": {}}


def test_documents_of_an_earlier_session_of_that_name_go(tmp_path: Path, there: ListedMemory) -> None:
    with closing(StateStore(tmp_path / "state.db")) as store:
        store.set("sessions/one/trading_logs/2001-01-01T00:00:00.000Z", {"iteration": 1})
        store.set("sessions/one/risk_states/2001-01-01", {"state": "running"})
        there.put(store.waiting(10))
        store.mirrored(store.waiting(10))
    assert sync(tmp_path, there).beyond == ["sessions/one/trading_logs/2001-01-01T00:00:00.000Z"]
    assert "sessions/one/risk_states/2001-01-01" in there.documents


def test_a_mirror_that_was_wiped_and_a_state_store_that_was_lost_come_back(tmp_path: Path, there: ListedMemory) -> None:
    before = bodies(there)
    there.documents.clear()
    assert len(sync(tmp_path, there).missing) == len(before)
    assert bodies(there) == before
    for left in tmp_path.glob("state.db*"):
        left.unlink()
    found = sync(tmp_path, there)
    assert (found.missing, found.different, found.beyond) == ([], [], []), "status and settings are of no file, and kept"
    assert bodies(there) == before


def test_what_may_not_be_written_today_is_said(tmp_path: Path, there: ListedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.mirror.sync._PATIENCE_S", 0.5)
    there.documents.clear()
    with pytest.raises(NotObeyed, match=r"\d+ documents still wait"):
        sync(tmp_path, there, "--set", "live.firestore_writes_per_day=20")
    with closing(StateStore(tmp_path / "state.db")) as store:
        assert store.lag().waiting > 0


def test_a_session_that_is_not_here_or_a_mirror_that_does_not_answer_is_one_line(tmp_path: Path, there: ListedMemory) -> None:
    with pytest.raises(ConfigError, match="--from-firestore"):
        sync(tmp_path / "elsewhere", there)

    class Gone(ListedMemory):
        def below(self, name: str) -> dict[str, Any]:
            raise VenueUnreachable("Firestore does not answer")

    with pytest.raises(VenueUnreachable):
        sync(tmp_path, Gone())
