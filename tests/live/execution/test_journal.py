"""The journal of orders: an intent is durable before anything else, and written once."""

from __future__ import annotations

import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.errors import StorageFull, StoreDamaged
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution import write_ahead_log
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.write_ahead_log import WriteAheadLog


def intent(name: str) -> Intent:
    request = OrderRequest(
        symbol="BTC/USDT", side=Side.SELL, size=Decimal("0.10"), limit_price=None, stop_price=Decimal("9.90"), reason="a stop"
    )
    return Intent(client_id=name, request=request, bar=1_700_000_000_000, role="stop")


def test_an_intent_is_durable_before_anything_else_and_written_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    assert journal.write(intent("a"))
    with sqlite3.connect(tmp_path / "j.db") as other:
        assert other.execute("select client_id, state from intents").fetchall() == [("a", "written")]
    assert not journal.write(intent("a"))
    journal.mark("a", IntentState.ACKNOWLEDGED, venue_id="7")
    journal.mark("a", IntentState.ACKNOWLEDGED)
    assert (journal.client_id_of("7"), journal.client_id_of("")) == ("a", "")
    assert [i for i, _ in journal.open_intents()] == [intent("a")]
    journal.mark("a", IntentState.DONE)
    assert journal.open_intents() == []
    journal.close()


def test_a_journal_that_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"not a database at all, but long enough to look like one" * 20)
    with pytest.raises(StoreDamaged):
        Journal(tmp_path / "bad.db")
    with pytest.raises((StorageFull, NotADirectoryError, FileExistsError)):
        Journal(tmp_path / "bad.db" / "deeper.db")


def test_an_intent_that_a_power_cut_took_from_sqlite_is_taken_back_and_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.write(intent("known"))
    for name in ("j.db", "j.db-wal", "j.db-shm"):  # as SQLite was before its newest transactions
        shutil.copy(tmp_path / name, tmp_path / f"before-{name}")
    journal.write(intent("lost"))
    assert journal.claim("lost")
    journal.close()
    for name in ("j.db", "j.db-wal", "j.db-shm"):
        shutil.copy(tmp_path / f"before-{name}", tmp_path / name)
    again = Journal(tmp_path / "j.db")
    assert [i for i, _ in again.open_intents()] == [intent("known"), intent("lost")]
    assert not again.write(intent("lost"))
    again.close()


def test_an_intent_is_claimed_once_and_one_that_was_refused_never(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.write(intent("a"))
    assert journal.claim("a")
    assert not journal.claim("a")
    journal.write(intent("b"))
    journal.mark("b", IntentState.REFUSED, note="too large")
    assert (journal.state_of("b"), journal.claim("b"), journal.write(intent("b"))) == (IntentState.REFUSED, False, False)
    assert journal.open_intents() == [(intent("a"), IntentState.SENT)]
    journal.close()


def test_before_a_slot_is_used_again_sqlite_has_what_stood_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.execution.write_ahead_log.SLOTS", 8)
    monkeypatch.setattr("forwardtrader.live.execution.journal.SLOTS", 8)
    journal = Journal(tmp_path / "j.db")
    forced = []
    monkeypatch.setattr(journal, "_force", lambda: forced.append(journal._wal.next))  # type: ignore[union-attr]
    for number in range(17):
        journal.write(intent(str(number)))
    assert forced == [5, 9, 13, 17]
    journal.close()


def test_an_intent_is_in_the_file_and_on_the_disk_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.db")
    steps: list[tuple[str, IntentState | None]] = []
    put = WriteAheadLog.put

    def noted_put(self: WriteAheadLog, record: dict[str, object]) -> int:
        steps.append(("before the disk", journal.state_of("a")))
        return put(self, record)

    monkeypatch.setattr(WriteAheadLog, "put", noted_put)
    assert journal.write(intent("a"))
    assert steps == [("before the disk", IntentState.WRITTEN)]
    assert [record["client_id"] for record in WriteAheadLog(tmp_path / "j.intents").records] == ["a"]
    assert journal.claim("a")
    assert journal.state_of("a") is IntentState.SENT
    assert not journal.write(intent("a"))
    journal.close()


def test_an_intent_that_does_not_get_into_the_file_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal._file.run("pragma query_only = 1")
    with pytest.raises(StorageFull, match="free some disk"):
        journal.write(intent("a"))
    journal.close()
    again = Journal(tmp_path / "j.db")
    assert again.intents() == []
    again.close()


def test_an_intent_that_does_not_get_to_the_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise OSError("no space left")

    journal = Journal(tmp_path / "journal.db")
    monkeypatch.setattr(write_ahead_log, "_write", full)
    with pytest.raises(StorageFull, match="no order was sent"):
        journal.write(intent("a"))
    journal.close()
