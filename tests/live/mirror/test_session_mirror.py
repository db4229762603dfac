"""The mirror of a session: documents of all that its files hold, each under one name for good, and written once unless it changes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.mirror.session_mirror import SessionMirror
from forwardtrader.live.output.state_store import MemoryMirror
from forwardtrader.live.output.tables import FillFacts, Rows
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog, PromotionRecord
from forwardtrader.reports.pages.session_status import SessionState
from tests.live.recorded_session import BEGAN, STEP, SYMBOLS, RecordedSession, fill, moment, recorded


def request_in(folder: Path, *flags: str) -> LiveRequest:
    words = ["--session", "one", "--set", f"live.sessions_path={folder}", "--set", f"live.state_path={folder / 'state.db'}", *flags]
    return read_request([*words, *(word for symbol in SYMBOLS for word in ("--symbol", symbol))])


class Session:
    """A recorded session, its mirror, and what that has."""

    def __init__(self, folder: Path, session: RecordedSession) -> None:
        self.folder, self.session = folder, session
        self.there = MemoryMirror()

    def write(self, **changed: Any) -> dict[str, dict[str, Any]]:
        """What is in the mirror once the session has told it everything, without the folder."""
        mirror = SessionMirror(request_in(self.folder), SystemClock(), "here", mirror=self.there)
        mirror.write(self.session.status().model_copy(update=changed), last=True)
        mirror.close()
        return {name.removeprefix("sessions/one").lstrip("/"): event.body for name, event in self.there.documents.items()}

    def sequence(self) -> int:
        return max(event.seq for event in self.there.documents.values())


@pytest.fixture
def written(tmp_path: Path) -> Any:
    with recorded(tmp_path / "one", 300) as session:
        yield Session(tmp_path, session)


def of(documents: dict[str, Any], collection: str) -> list[str]:
    return sorted(name.partition("/")[2] for name in documents if name.startswith(f"{collection}/"))


def test_every_bar_is_a_document_with_what_was_seen_forecast_and_decided(written: Session) -> None:
    documents = written.write()
    bars = of(documents, "trading_logs")
    assert (len(bars), bars[0]) == (300, f"{moment(0):%Y-%m-%dT%H:%M:%S}.000Z")
    tenth = documents[f"trading_logs/{bars[10]}"]
    assert (tenth["iteration"], tenth["timestamp"], tenth["at"]) == (11, moment(10).isoformat(), BEGAN + 10 * STEP)
    assert set(tenth["bars"]) == set(tenth["predictions"]) == set(SYMBOLS)
    assert tenth["predictions"]["BTC/USDT"]["q95"] == 0.03
    assert [(each["symbol"], each["side"], each["reason"]) for each in tenth["decisions"]] == [("BTC/USDT", "buy", "edge")]
    assert tenth["account"]["cash"] == 1_000.0
    assert documents[f"trading_logs/{bars[11]}"]["decisions"] == []


def test_fills_positions_settings_and_the_state_of_risk_have_their_own(written: Session) -> None:
    documents = written.write(state=SessionState.HALTED, reason="drawdown", config={"live": {"heartbeat_url": "x"}})
    assert of(documents, "fills") == [f"{n:08d}" for n in range(30)]
    first = documents["fills/00000001"]
    assert (first["timestamp"], first["side"], first["price"], first["id"]) == (moment(10).isoformat(), "sell", 103.0, 2)
    assert documents["positions/BTC-USDT"] == {"symbol": "BTC/USDT", "size": 0.0, "price": 0.0}
    assert len(of(documents, "orders")) == 30
    status = documents[""]
    assert (status["name"], status["machine"]) == ("one", "here")
    assert documents[f"settings/{status['settings']}"]["request"]["mode"] == "paper"
    [risk] = of(documents, "risk_states")
    assert documents[f"risk_states/{risk}"]["reason"] == "drawdown"


def test_a_restart_writes_what_is_new_alone(written: Session) -> None:
    written.write()
    before = written.sequence()
    documents = written.write()
    assert written.sequence() == before, "not one was written twice"
    written.session.store.record((), (), rows=Rows(SYMBOLS, [fill(3_000)], [], []))
    written.session.store.note(moment(1).isoformat(), "error", "iteration_failed", reason="x")
    written.session.store.note(moment(1).isoformat(), "info", "lease_taken")
    written.session.store.command(BEGAN, "pause", moment(1).isoformat())
    documents = written.write()
    assert written.sequence() == before + 4, "a fill, a position, an error and a command"
    assert documents["errors/00000001"]["kind"] == "iteration_failed"
    assert documents["commands/00000001"]["name"] == "pause"
    assert documents["positions/BTC-USDT"]["size"] == 0.1


def test_a_fill_that_the_venue_corrected_is_written_anew(written: Session) -> None:
    stand_in = fill(20_000, price=50.0, size=2.0, fee=0.0, fee_currency="", order_ref="late")
    written.session.store.record((), (), rows=Rows(SYMBOLS, [stand_in], [], []), executions=[("BTC/USDT", "synthetic-1")])
    written.session.store.record((), (), rows=Rows(SYMBOLS, [fill(n) for n in range(20_010, 21_000, 10)], [], []))
    assert written.write()["fills/00000030"]["price"] == 50.0
    after = [FillFacts("7", 0.5, 49.0, 0.1, "USDT"), FillFacts("8", 1.5, 51.0, 0.3, "USDT")]
    written.session.store.replace_fill("BTC/USDT", "late", FillFacts("synthetic-1", 2.0, 50.0, 0.0, ""), after)
    documents = written.write()
    both = [documents[f"fills/{number:08d}"] for number in (30, 130)]
    assert [(each["size"], each["price"]) for each in both] == [(0.5, 49.0), (1.5, 51.0)]


def execution(trade_id: str, size: str, price: str, at: int = BEGAN) -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade_id, client_id="c-1", venue_id="9", side="buy", size=Decimal(size), price=Decimal(price),
        fee=Decimal(0), fee_currency="", at=at,
    )  # fmt: skip


def test_with_real_orders_the_journal_is_mirrored_and_a_stand_in_is_no_execution_any_more(written: Session) -> None:
    journal = Journal(written.session.folder / "journal.db")
    request = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.50"))
    journal.write(Intent(client_id="c-1", request=request, bar=BEGAN))
    journal.remember("start_equity", 1000.0)
    assert written.write()["orders/c-1"]["state"] == "written"
    journal.mark("c-1", IntentState.DONE, venue_id="9")
    journal.book(execution("synthetic-1", "0.50", "100.10"))
    documents = written.write()
    assert (documents["orders/c-1"]["state"], documents["orders/c-1"]["size"]) == ("done", "0.50")
    assert documents["positions/BTC-USDT"] == {"symbol": "BTC/USDT", "size": 0.5, "price": 100.1}
    journal.replace(execution("synthetic-1", "0.50", "100.10"), [execution("1", "0.2", "100"), execution("2", "0.3", "101")])
    documents = written.write()
    assert documents["executions/BTC-USDT~synthetic-1"]["replaced"]
    assert [documents[f"executions/BTC-USDT~{n}"]["recorded"] for n in (1, 2)] == [False, False]
    assert documents["state/journal"]["start_equity"] == "1000.0"
    assert len(of(documents, "orders")) == 1 and len(of(documents, "fills")) == 30
    journal.close()


def test_a_session_file_that_was_put_back_is_mirrored_from_its_first_row(written: Session) -> None:
    written.write()
    for table, rest in (("fills", "id > 5"), ("orders", "id > 5"), ("bars", f"at > {BEGAN + 50 * STEP}")):
        written.session.store._db.run(f"delete from {table} where {rest}")
    later = fill(5_000, price=77.0)
    written.session.store.record((), (), rows=Rows(SYMBOLS, [later], [], []))
    assert written.write()["fills/00000005"]["price"] == 77.0


def test_promotions_are_mirrored_with_their_reason(written: Session) -> None:
    PromotionLog(written.session.folder).add(
        PromotionRecord(
            at=moment(3), market="BTC/USDT 5m", action=PromotionAction.PROMOTED, by=Author.DRIFT, model_id="m2", reason="better"
        )
    )
    assert written.write()["promotions/00000001"]["reason"] == "better"


def test_no_secret_is_in_a_document(written: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "s3cr3t-of-mine")
    written.session.store.note(
        moment(1).isoformat(), "error", "failed", reason="https://x.example/o?signature=deadbeefdeadbeef s3cr3t-of-mine"
    )
    config = {"live": {"heartbeat_url": "https://user:s3cr3t-of-mine@x.example"}}
    text = json.dumps(written.write(config=config, reason="s3cr3t-of-mine"))
    assert "s3cr3t-of-mine" not in text and "deadbeef" not in text and "failed" in text


def test_without_firestore_nothing_is_written(tmp_path: Path, written: Session) -> None:
    mirror = SessionMirror(request_in(tmp_path), SystemClock(), "")
    mirror.write(written.session.status(), last=True)
    mirror.close()
    assert not (tmp_path / "state.db").exists()


def test_a_machine_that_lost_its_lease_writes_no_more_and_a_later_token_wins(written: Session) -> None:
    mirror = SessionMirror(request_in(written.folder), SystemClock(), "here", mirror=written.there)
    mirror.leased(7)
    mirror.lost()
    mirror.write(written.session.status(), last=True)
    mirror.close()
    assert written.there.documents == {}
    assert written.write()[""]["name"] == "one"
    assert written.there.documents["sessions/one"].token == 7, "it is remembered"


def test_a_document_has_no_array_in_an_array_which_firestore_refuses(written: Session) -> None:
    def arrays(value: Any, inside: bool = False) -> bool:
        if isinstance(value, list):
            return inside or any(arrays(each, True) for each in value)
        return isinstance(value, dict) and any(arrays(each) for each in value.values())

    written.session.store.record((), (), snapshot=(BEGAN, {"positions": [["BTC/USDT", 1.0, 2.0]]}))
    documents = written.write()
    assert [name for name, body in documents.items() if arrays(body)] == []
    assert json.loads(documents["state/snapshot"]["body"]) == {"positions": [["BTC/USDT", 1.0, 2.0]]}
