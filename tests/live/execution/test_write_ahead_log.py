"""The intent log and the journal above it: what is written survives, whatever the crash took elsewhere."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import StorageFull
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution import write_ahead_log
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.write_ahead_log import SLOTS, WriteAheadLog


def intent(name: str) -> Intent:
    request = OrderRequest(
        symbol="BTC/USDT", side=Side.SELL, size=Decimal("0.10"), limit_price=None, stop_price=Decimal("9.90"), reason="a stop"
    )
    return Intent(client_id=name, request=request, bar=1_700_000_000_000, role="stop")


def test_a_new_log_is_empty_and_a_full_one_keeps_the_newest(tmp_path: Path) -> None:
    log = WriteAheadLog(tmp_path / "a.intents")
    assert log.records == []
    for number in range(SLOTS + 5):
        log.put({"n": number})
    log.close()
    again = WriteAheadLog(tmp_path / "a.intents")
    assert [record["n"] for record in again.records] == list(range(5, SLOTS + 5))
    assert again.next == SLOTS + 6
    again.close()
    again.close()


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(0, 200), count=st.integers(1, 6))
def test_a_slot_torn_by_a_power_cut_is_no_record_and_spoils_no_other(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.intents"
    log = WriteAheadLog(path)
    for number in range(count):
        log.put({"n": number, "text": "x" * 100})
    log.close()
    data = bytearray(path.read_bytes())
    start = (1 + count) * 4096  # the newest record, of which only the first `cut` bytes reached the disk
    whole = bytes(data[start : start + 4096]).rstrip(b"\0")
    data[start + cut : start + 4096] = bytes(4096 - cut)
    path.write_bytes(bytes(data))
    expected = count if cut >= len(whole) else count - 1
    again = WriteAheadLog(path)
    assert [record["n"] for record in again.records] == list(range(expected))
    again.put({"n": "next"})
    again.close()


def test_a_log_cut_short_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.intents"
    WriteAheadLog(path).close()
    path.write_bytes(path.read_bytes()[:10_000])
    log = WriteAheadLog(path)
    log.put({"n": 1})
    log.close()
    assert path.stat().st_size == (1 + SLOTS) * 4096


def test_a_file_system_without_direct_writing_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = write_ahead_log.os.open

    def no_direct(path: object, flags: int, *more: int) -> int:
        if flags & getattr(write_ahead_log.os, "O_DIRECT", 0):
            raise OSError(22, "Invalid argument")
        return refuse(path, flags, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(write_ahead_log.os, "open", no_direct)
    log = WriteAheadLog(tmp_path / "a.intents")
    log.put({"n": 1})
    log.close()
    assert WriteAheadLog(tmp_path / "a.intents").records == [{"n": 1}]


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageFull, NotADirectoryError, FileExistsError)):
        WriteAheadLog(tmp_path / "file" / "a.intents")
    log = WriteAheadLog(tmp_path / "a.intents")
    log.close()
    with pytest.raises(StorageFull, match="no order was sent"):
        log.put({"n": 1})


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
