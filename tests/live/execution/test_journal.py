"""The journal of orders: an intent is durable before anything else, and written once."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import StorageFull, StoreDamaged
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution import write_ahead_log
from forwardtrader.live.execution.events import NEVER_ARRIVED, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.journal_rows import held_in
from forwardtrader.live.execution.write_ahead_log import WriteAheadLog
from forwardtrader.live.venue.perpetuals import FundingPayment


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


FIRST_VERSION = """
create table intents (
    client_id text primary key, symbol text not null, side text not null, size text not null, limit_price text, stop_price text,
    reason text not null, role text not null, bar integer not null, state text not null, venue_id text not null default '',
    note text not null default '');
create index open_intents on intents (state) where state in ('written', 'sent', 'unknown', 'acknowledged');
create table executions (
    symbol text not null, trade_id text not null, client_id text not null, venue_id text not null, side text not null,
    size text not null, price text not null, fee text not null, fee_currency text not null, at integer not null,
    primary key (symbol, trade_id)) without rowid;
create index executions_of on executions (client_id);
create table marks (name text primary key, value text not null) without rowid;
insert into intents (client_id, symbol, side, size, stop_price, reason, role, bar, state, venue_id)
    values ('a', 'BTC/USDT', 'sell', '0.10', '9.90', 'a stop', 'stop', 1700000000000, 'acknowledged', '7');
insert into executions values ('BTC/USDT', '1', 'a', '7', 'sell', '0.05', '9.9', '0', 'USDT', 1700000060000);
insert into marks values ('start_equity', '100.0');
"""


@pytest.mark.parametrize("number", [1, 0])  # 0: its process died before it wrote the number
def test_a_journal_of_the_first_version_goes_on_with_all_that_it_holds(tmp_path: Path, number: int) -> None:
    with closing(sqlite3.connect(tmp_path / "j.db")) as old:
        old.executescript(FIRST_VERSION + f"pragma user_version = {number};")
    slots = WriteAheadLog(tmp_path / "j.intents")
    slots.put({
        "client_id": "b", "symbol": "BTC/USDT", "side": "sell", "size": "0.10", "limit": None, "stop": "9.90", "reason": "a stop",
        "role": "stop", "bar": 1_700_000_000_000,
    })  # fmt: skip
    slots.close()
    for _ in range(2):  # the second start finds it upgraded
        journal = Journal(tmp_path / "j.db")
        assert journal.open_intents() == [(intent("a"), IntentState.ACKNOWLEDGED), (intent("b"), IntentState.WRITTEN)]
        assert (journal.filled("a"), journal.client_id_of("7"), journal.recall("start_equity")) == (Decimal("0.05"), "a", 100.0)
        journal.close()
    child = replace(intent("c"), parent="a", group="b", expires=5, replaces="d", post_only="market")
    journal = Journal(tmp_path / "j.db")
    assert journal.hold(child)
    assert journal.held_intents() == [child]
    journal.close()


def test_a_journal_of_a_newer_version_is_refused_in_one_line_and_left_as_it_is(tmp_path: Path) -> None:
    Journal(tmp_path / "j.db").close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as newer:
        newer.execute("pragma user_version = 9")
    before = (tmp_path / "j.db").read_bytes()
    with pytest.raises(StoreDamaged, match=r"newer version of this program \(9, this one reads 6\); start it with that version") as refusal:
        Journal(tmp_path / "j.db")
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "j.db").read_bytes() == before


def test_an_upgrade_that_is_cut_short_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(tmp_path / "j.db")) as old:
        old.executescript(FIRST_VERSION + "pragma user_version = 1;")
    with monkeypatch.context() as patch:
        broken = {1: "alter table intents add column parent;\nselect no_such;\n", 2: "", 3: "", 4: "", 5: ""}
        patch.setattr("forwardtrader.live.execution.journal.UPGRADES", broken)
        with pytest.raises(StorageFull):
            Journal(tmp_path / "j.db")
    journal = Journal(tmp_path / "j.db")
    assert journal.intent("a") == intent("a")
    journal.close()


def test_what_was_refused_before_an_upgrade_counts_as_dealt_with(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "j.db")) as old:
        old.executescript(FIRST_VERSION + "pragma user_version = 1;")
        for name, note in (("r", "too large"), ("n", NEVER_ARRIVED)):
            old.execute(f"insert into intents select '{name}', symbol, side, size, limit_price, stop_price, reason, role, bar, 'refused',"
                        f" '', '{note}' from intents where client_id = 'a'")  # fmt: skip
        old.commit()
    journal = Journal(tmp_path / "j.db")
    assert [note for _, _, note in journal.named(("r", "n"))] == ["reported: too large", NEVER_ARRIVED]
    journal.mark("r", IntentState.DONE, note="canceled")
    assert [journal.is_reported(name) for name in "rna"] == [True, False, False], "what is dealt with stays so"
    journal.close()


def family() -> tuple[Intent, Intent, Intent]:
    parent = replace(intent("p"), role="entry", expires=1_700_000_060_000)
    return parent, replace(intent("s"), parent="p"), replace(intent("t"), parent="p", group="g", replaces="r")


def test_orders_that_wait_are_on_the_disk_with_the_one_that_they_wait_for_in_one_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    parent, stop, target = family()
    assert journal.write(parent, [stop, target])
    assert (journal.held_intents(), [i for i, _ in journal.open_intents()]) == ([stop, target], [parent])
    [record] = WriteAheadLog(tmp_path / "j.intents").records
    assert record["client_id"] == "p"
    assert [journal.hold(each) for each in (stop, target)] == [False, False]
    assert not journal.claim("s"), "an order that waits must not be sent"
    journal.close()


def test_a_family_whose_reasons_are_long_is_durable_too(tmp_path: Path) -> None:
    parent, stop, target = (replace(each, request=replace(each.request, reason="\U0001f40c" * 3000)) for each in family())
    journal = Journal(tmp_path / "j.db")
    assert journal.write(parent, [stop, target])
    assert journal.intent("s") == stop
    journal.close()
    for name in ("j.db", "j.db-wal", "j.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    again = Journal(tmp_path / "j.db")
    assert [i.client_id for i in again.held_intents()] == ["s", "t"]
    assert [i.client_id for i, _ in again.open_intents()] == ["p"]
    again.close()


def test_a_held_order_is_released_once_with_the_size_it_has_then(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    parent, stop, target = family()
    journal.write(parent, [stop, target])
    smaller = replace(stop, request=replace(stop.request, size=Decimal("0.04")), triggered=True)
    assert [journal.release(smaller), journal.release(stop)] == [True, False]
    assert (journal.intent("s"), journal.held_intents()) == (smaller, [target])
    assert [journal.claim("s"), journal.claim("s")] == [True, False]
    journal.mark("t", IntentState.DROPPED, note="canceled")
    assert not journal.release(target), "one that was taken back must not be sent"
    journal.close()


def test_a_power_cut_that_takes_a_release_leaves_the_order_to_be_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    parent, stop, target = family()
    journal.write(parent, [stop, target])
    names = ("j.db", "j.db-wal", "j.db-shm")
    for name in names:  # as SQLite was before its newest transactions
        shutil.copy(tmp_path / name, tmp_path / f"before-{name}")
    smaller = replace(stop, request=replace(stop.request, size=Decimal("0.04")))
    assert journal.release(smaller)
    journal.close()
    for name in names:
        shutil.copy(tmp_path / f"before-{name}", tmp_path / name)
    again = Journal(tmp_path / "j.db")
    assert (again.held_intents(), [i for i, _ in again.open_intents()]) == ([target], [parent, smaller])
    assert not again.release(stop)
    again.close()


def test_what_a_power_cut_took_altogether_is_taken_back_in_the_state_it_had(tmp_path: Path) -> None:
    parent, stop, target = family()
    journal = Journal(tmp_path / "j.db")
    journal.write(parent, [stop, target])
    journal.release(stop)
    journal.close()
    assert [json.dumps(record)[:16] for record in WriteAheadLog(tmp_path / "j.intents").records] == ['{"client_id": "p', '{"client_id": "s']
    (tmp_path / "j.db").unlink()
    again = Journal(tmp_path / "j.db")
    assert (again.held_intents(), [i for i, _ in again.open_intents()]) == ([target], [parent, stop])
    again.close()


def test_funding_is_booked_once_and_an_order_of_the_venue_grows(tmp_path: Path) -> None:
    payment = FundingPayment(id="f1", symbol="BTC/USDT:USDT", currency="USDT", amount=Decimal("-0.5"), at=7)
    with closing(Journal(tmp_path / "j.db")) as journal:
        assert journal.book_payment(payment) and not journal.book_payment(payment)
        journal.write(intent("liquidation-1"))
        journal.enlarge("liquidation-1", Decimal(3))
    with closing(Journal(tmp_path / "j.db")) as again:
        assert again.payments() == [payment]
        assert again.intents()[0][0].request.size == 3


def test_what_is_gathered_is_on_the_disk_together_in_few_writes_and_not_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    parent, stop, target = family()
    journal.gather()
    for number in range(20):
        assert journal.write(intent(f"order-{number}"))
    assert journal.write(parent, [stop, target])
    assert not journal.write(intent("order-3"))
    assert journal.state_of("order-0") is IntentState.WRITTEN
    assert WriteAheadLog(tmp_path / "j.intents").records == []
    journal.write_gathered()
    assert 2 <= len(WriteAheadLog(tmp_path / "j.intents").records) <= 4
    journal.write(intent("later"))
    assert WriteAheadLog(tmp_path / "j.intents").records[-1]["client_id"] == "later", "nothing is gathered any more"
    expected = (journal.held_intents(), {i.client_id for i, _ in journal.open_intents()})
    journal.close()
    for name in ("j.db", "j.db-wal", "j.db-shm"):  # a power cut
        (tmp_path / name).unlink(missing_ok=True)
    again = Journal(tmp_path / "j.db")
    assert (again.held_intents(), {i.client_id for i, _ in again.open_intents()}) == expected
    names = [i.client_id for i, _ in again.open_intents() if i.client_id.startswith("order")]
    assert names == [f"order-{number}" for number in range(20)], "oldest first"
    again.close()


def test_another_thread_does_not_wait_for_what_is_gathered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.gather()
    journal.write(intent("gathered"))
    other = threading.Thread(target=journal.write, args=(intent("at once"),))
    other.start()
    other.join()
    assert [record["client_id"] for record in WriteAheadLog(tmp_path / "j.intents").records] == ["at once"]
    journal.write_gathered()
    assert [record["client_id"] for record in WriteAheadLog(tmp_path / "j.intents").records] == ["at once", "gathered"]
    journal.close()


@settings(deadline=None, max_examples=60)
@given(reasons=st.lists(st.integers(0, 900), min_size=1, max_size=30))
def test_whatever_their_lengths_all_that_is_gathered_is_durable_once(tmp_path_factory: pytest.TempPathFactory, reasons: list[int]) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.db"
    journal = Journal(path)
    journal.gather()
    for number, length in enumerate(reasons):
        plain = intent(f"{number}")
        journal.write(replace(plain, request=replace(plain.request, reason="\U0001f40c" * length)))
    journal.write_gathered()
    journal.close()
    records = WriteAheadLog(path.with_suffix(".intents")).records
    assert [each["client_id"] for record in records for each in (record, *held_in(record))] == [f"{n}" for n in range(len(reasons))]
