"""The intent log and the journal above it: what is written survives, whatever the crash took elsewhere."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import StorageFull
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution import write_ahead_log as intent_log
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
    assert log.found == []
    for number in range(SLOTS + 5):
        log.put({"n": number})
    log.close()
    again = WriteAheadLog(tmp_path / "a.intents")
    assert [record["n"] for record in again.found] == list(range(5, SLOTS + 5))
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
    assert [record["n"] for record in again.found] == list(range(expected))
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
    refuse = intent_log.os.open

    def no_direct(path: object, flags: int, *more: int) -> int:
        if flags & getattr(intent_log.os, "O_DIRECT", 0):
            raise OSError(22, "Invalid argument")
        return refuse(path, flags, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(intent_log.os, "open", no_direct)
    log = WriteAheadLog(tmp_path / "a.intents")
    log.put({"n": 1})
    log.close()
    assert WriteAheadLog(tmp_path / "a.intents").found == [{"n": 1}]


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
    journal.refuse(intent("b"), "too large")
    assert (journal.state_of("b"), journal.claim("b"), journal.write(intent("b"))) == (IntentState.REFUSED, False, False)
    assert journal.open_intents() == [(intent("a"), IntentState.SENT)]
    journal.close()


def test_before_a_slot_is_used_again_sqlite_has_what_stood_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.execution.write_ahead_log.SLOTS", 8)
    monkeypatch.setattr("forwardtrader.live.execution.journal.SLOTS", 8)
    journal = Journal(tmp_path / "j.db")
    forced = []
    monkeypatch.setattr(journal, "_force", lambda: forced.append(journal._intents_log.next))  # type: ignore[union-attr]
    for number in range(17):
        journal.write(intent(str(number)))
    assert forced == [5, 9, 13, 17]
    journal.close()


def test_an_order_is_claimed_in_another_thread_only_when_its_intent_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.db")
    steps: list[str] = []
    claimed: list[bool] = []
    put = WriteAheadLog.put

    def slow_put(self: WriteAheadLog, record: dict[str, object]) -> int:
        time.sleep(0.1)
        number = put(self, record)
        steps.append("on the disk")
        return number

    def claim() -> None:
        claimed.append(journal.claim("a"))
        steps.append("claimed")

    monkeypatch.setattr(WriteAheadLog, "put", slow_put)
    sender = threading.Thread(target=claim)
    assert journal.write(intent("a"), sender.start)
    sender.join()
    assert (steps, claimed) == (["on the disk", "claimed"], [True])
    assert journal.state_of("a") is IntentState.SENT
    assert not journal.write(intent("a"))
    journal.close()


def test_an_order_may_leave_only_when_sqlite_has_it_and_nobody_finds_it_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.db")
    steps: list[str] = []
    insert = journal._insert

    def slow_insert(told: Intent, state: IntentState = IntentState.WRITTEN) -> bool:
        time.sleep(0.1)
        steps.append("in the file")
        return insert(told, state)

    def send() -> None:
        steps.append(f"claimed {journal.claim('a')}")
        steps.append(f"found {journal.intent('a') is not None}")

    monkeypatch.setattr(journal, "_insert", slow_insert)
    sender = threading.Thread(target=send)
    assert journal.write(intent("a"), sender.start)
    sender.join()
    assert steps == ["in the file", "claimed True", "found True"]
    assert not journal.claim("a")
    journal.close()


def test_an_order_whose_intent_did_not_get_to_the_disk_is_not_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.db")
    troubles: list[StorageFull] = []

    def full(self: WriteAheadLog, record: dict[str, object]) -> int:
        time.sleep(0.1)
        raise StorageFull("the disk is full")

    def claim() -> None:
        try:
            journal.claim("a")
        except StorageFull as trouble:
            troubles.append(trouble)

    monkeypatch.setattr(WriteAheadLog, "put", full)
    sender = threading.Thread(target=claim)
    with pytest.raises(StorageFull):
        journal.write(intent("a"), sender.start)
    sender.join()
    assert len(troubles) == 1
    journal.close()


def test_an_interrupt_that_comes_when_the_intent_is_durable_is_told_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Future[None]):
        def set_result(self, result: None) -> None:
            super().set_result(result)
            raise KeyboardInterrupt

    journal = Journal(tmp_path / "j.db")
    monkeypatch.setattr("forwardtrader.live.execution.journal.Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.write(intent("a"), lambda: None)
    assert journal.claim("a")
    journal.close()


def test_an_order_whose_intent_does_not_get_into_the_file_is_given_to_nobody(tmp_path: Path) -> None:
    journal, begun = Journal(tmp_path / "j.db"), list[bool]()
    journal._file.run("pragma query_only = 1")
    with pytest.raises(StorageFull, match="free some disk"):
        journal.write(intent("a"), lambda: begun.append(True))
    assert not begun
    journal.close()
    again = Journal(tmp_path / "j.db")
    assert again.intents() == []
    again.close()


def test_an_intent_that_was_refused_before_it_was_durable_is_refused_and_cannot_be_claimed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    seen: list[IntentState | None] = []

    def refuse() -> None:
        seen.append(journal.state_of("a"))  # asked first by whoever refuses: what is not there yet cannot be refused
        journal.mark("a", IntentState.REFUSED, note="too large")

    refusing = threading.Thread(target=refuse)
    assert journal.write(intent("a"), refusing.start)
    refusing.join()
    assert seen == [IntentState.SENT]
    assert journal.state_of("a") is IntentState.REFUSED
    assert not journal.claim("a")
    journal.close()


def test_an_intent_whose_disk_fails_is_not_given_to_whoever_claims_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise OSError("no space left")

    journal, heard = Journal(tmp_path / "journal.db"), list[BaseException]()

    def claim() -> None:
        try:
            journal.claim("a")
        except StorageFull as trouble:
            heard.append(trouble)

    claiming = threading.Thread(target=claim)
    monkeypatch.setattr(intent_log, "_write", full)
    with pytest.raises(StorageFull, match="no order was sent"):
        journal.write(intent("a"), claiming.start)
    claiming.join()
    assert len(heard) == 1
    journal.close()
