"""Restoring a session: the files that its documents give are those that the documents were made of, row by row."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StoreDamaged
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent, Trail
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.mirror.restore import restore
from forwardtrader.live.mirror.session_mirror import SessionMirror
from forwardtrader.live.output.state_store import plain
from forwardtrader.live.output.tables import FillFacts, Rows
from forwardtrader.live.venue.perpetuals import FundingPayment
from tests.live.mirror.memory import ListedMemory
from tests.live.mirror.test_session_mirror import request_in
from tests.live.recorded_session import BEGAN, STEP, SYMBOLS, RecordedSession, fill, moment, recorded

LEFT_OUT = {"corrected", "sqlite_sequence"}


def tables(path: Path) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("select name from sqlite_master where type = 'table'") if row[0] not in LEFT_OUT]
        return {name: sorted(db.execute(f"select * from {name}").fetchall(), key=repr) for name in names}


def documents_of(folder: Path, session: RecordedSession, there: ListedMemory | None = None) -> dict[str, Any]:
    """What a mirror has once it was told everything, by name below the session."""
    there = there or ListedMemory()
    mirror = SessionMirror(request_in(folder), SystemClock(), "here", mirror=there)
    mirror.write(session.status(), last=True)
    mirror.close()
    return {name.removeprefix("sessions/one/"): plain(body) for name, body in there.below("sessions/one").items()}


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with recorded(tmp_path / "one", 300) as made:
        (made.folder / "plan.json").write_text(json.dumps({"symbols": list(SYMBOLS), "first_live": moment(0).isoformat()}))
        made.store.command(BEGAN + 5 * STEP, "pause", moment(6).isoformat())
        made.store.note(moment(7).isoformat(), "error", "iteration_failed", where="next", count=1)
        made.store.block_entry(BEGAN + 3 * STEP, "BTC/USDT", "stale")
        made.store.record((), (), (BEGAN, 100.5, 3.0, 1.25), snapshot=(BEGAN + 299 * STEP, {"cash": 1 / 3, "orders": [[1, 2]]}))
        yield made


def test_a_session_on_paper_comes_back_row_by_row(session: RecordedSession, tmp_path: Path) -> None:
    found = restore(tmp_path / "other", "one", documents_of(tmp_path, session))
    assert tables(tmp_path / "other" / "session.db") == tables(session.folder / "session.db")
    assert (tmp_path / "other" / "plan.json").read_text() == (session.folder / "plan.json").read_text()
    assert found.text == "300 bars, 30 fills, 30 orders"
    assert not (tmp_path / "other" / "journal.db").exists()


def test_marks_and_funding_of_perpetuals_come_back_also_those_that_came_late_or_never(session: RecordedSession, tmp_path: Path) -> None:
    there, facts = ListedMemory(), session.store.facts
    prices = (100.0, 101.0, 99.0, 100.5)
    facts.keep("BTC/USDT", [(BEGAN + n * STEP, *prices) for n in range(100)], [(BEGAN, 0.0001)])
    documents_of(tmp_path, session, there)
    facts.keep("BTC/USDT", [(BEGAN + n * STEP, *prices) for n in range(100, 299)], [(BEGAN + 200 * STEP, -0.0002)])
    facts.keep("ETH/USDT", [(BEGAN, math.nan, math.nan, math.nan, math.nan)], [])
    documents = documents_of(tmp_path, session, there)
    assert documents["trading_logs/2023-11-15T14:50:00.000Z"]["iteration"] == 200
    restore(tmp_path / "other", "one", documents)
    ours, theirs = (tables(place / "session.db") for place in (tmp_path / "other", session.folder))
    assert len(ours["perpetual_marks"]) == 300 and len(ours["perpetual_funding"]) == 2
    assert ours == theirs


def test_on_paper_what_is_younger_than_the_newest_bar_is_left_to_the_replay(session: RecordedSession, tmp_path: Path) -> None:
    documents = documents_of(tmp_path, session)
    newest = sorted(name for name in documents if name.startswith("trading_logs/"))[-20:]  # which the other machine did not send any more
    for name in newest:
        del documents[name]
    restore(tmp_path / "other", "one", documents)
    found, whole = tables(tmp_path / "other" / "session.db"), tables(session.folder / "session.db")
    assert (len(found["fills"]), len(found["orders"]), len(found["equity"])) == (28, 28, 280)
    assert len(whole["fills"]) == 30


def test_with_real_orders_the_journal_comes_back_and_asks_the_venue_for_what_it_may_lack(session: RecordedSession, tmp_path: Path) -> None:
    journal = Journal(session.folder / "journal.db")
    request = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.50"), stop_price=Decimal("99.10"), reason="edge")
    held = Intent(client_id="c-2", request=request, bar=0, parent="c-1", trail=Trail(percent=0.01))
    journal.write(Intent(client_id="c-1", request=request, bar=BEGAN), held=[held])
    journal.mark("c-1", IntentState.DONE, venue_id="9", note="filled")
    facts = {"symbol": "BTC/USDT", "client_id": "c-1", "venue_id": "9", "side": "buy", "fee": Decimal(0), "fee_currency": "", "at": BEGAN}
    stand_in = Execution(trade_id="synthetic-1", size=Decimal("0.50"), price=Decimal("100.10"), **facts)
    journal.book(stand_in)
    session.store.record((), (), rows=Rows(SYMBOLS, [fill(3_000)], [], []), executions=[("BTC/USDT", "synthetic-1")])
    there = ListedMemory()
    documents_of(tmp_path, session, there)
    parts = [Execution(trade_id=n, size=Decimal("0.25"), price=Decimal("100.1"), **facts) for n in ("1", "2")]
    journal.replace(stand_in, parts)
    after = [FillFacts(n, 0.25, 100.1, 0.0, "") for n in ("1", "2")]
    session.store.replace_fill("BTC/USDT", "3000", FillFacts("synthetic-1", 0.1, 1.0, 0.0, ""), after)
    journal.book_payment(FundingPayment(id="p1", symbol="BTC/USDT:USDT", currency="USDT", amount=Decimal("-0.123"), at=BEGAN))
    journal.remember("start_equity", 1000.0)
    journal.close()
    documents = documents_of(tmp_path, session, there)
    restore(tmp_path / "other", "one", documents)
    ours, theirs = tables(tmp_path / "other" / "journal.db"), tables(session.folder / "journal.db")
    marks, kept = dict(ours.pop("marks")), dict(theirs.pop("marks"))
    assert ours == theirs
    assert marks["start_equity"] == kept["start_equity"]
    assert tables(tmp_path / "other" / "session.db")["told"] == [("BTC/USDT", "1"), ("BTC/USDT", "2")]
    again = Journal(tmp_path / "other" / "journal.db")
    assert again.is_lost
    assert [intent.client_id for intent in again.held_intents()] == ["c-2"]
    again.close()


def test_documents_that_make_no_session_are_one_line(tmp_path: Path, session: RecordedSession) -> None:
    with pytest.raises(StoreDamaged, match="is not whole"):
        restore(tmp_path / "other", "one", {})
    documents = documents_of(tmp_path, session)
    name = next(name for name in documents if name.startswith("trading_logs/"))
    del documents[name]["account"]
    with pytest.raises(StoreDamaged, match="is not whole"):
        restore(tmp_path / "third", "one", documents)
