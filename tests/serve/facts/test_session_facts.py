"""How sessions stand: read from real folders, whole ones and broken ones."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.settings import Settings
from forwardtrader.live import control
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.standing import Standing
from forwardtrader.serve.facts.session_facts import SessionFacts, facts_of, marks_of, possible_commands, session_names
from forwardtrader.serve.routes.sessions import card_of
from tests.reports import simulated_session
from tests.serve.recorded import BARS, write_session


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_session(tmp_path_factory.mktemp("sessions"))


def read(folder: Path) -> SessionFacts:
    return facts_of(folder, SystemClock(), Settings())


def test_a_session_that_ended_has_all_its_facts(ended: Path) -> None:
    facts = read(ended)
    assert (facts.standing, facts.is_running, facts.trouble, facts.bars) == ("ended", False, "", BARS)
    assert facts.equity is not None and facts.gain is not None and facts.last_bar is not None and facts.bar_told is not None
    assert facts.next_closes is not None and (facts.next_closes - facts.last_bar).total_seconds() == 600
    [(symbol, forecast)] = facts.forecasts
    assert (symbol, forecast.at, facts.model_id) == ("BTC/USDT", facts.last_bar, "model-7")
    [held], [stop] = facts.held, facts.resting
    assert (held.symbol, held.size, held.price) == ("BTC/USDT", pytest.approx(0.1), 101.5)
    assert (stop.kind, stop.side, stop.price) == ("stop", "sell", 95.0)
    assert (facts.parity, facts.commands, facts.own_time, facts.has_page) == (None, (), False, False)


def test_a_killed_one_can_be_resumed(ended: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(ended, folder)
    before = marks_of(folder)
    control.kill(folder)
    assert marks_of(folder) != before
    facts = read(folder)
    assert (facts.standing, facts.commands) == ("killed", ("resume",))
    assert "until Resume" in facts.why


@pytest.mark.parametrize(
    "name", ["session.db", "session.json", "heartbeat.json", "run.json", "parity.json", "journal.db", "candles.parquet"]
)
@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff\xfe\0 no file of ours", b"SQLite format 3\0 cut"])
def test_a_folder_that_is_half_written_is_an_honest_row(ended: Path, tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "one"
    shutil.copytree(ended, folder)
    (folder / name).write_bytes(content)
    facts = read(folder)
    assert facts.name == "one"
    if name == "session.db":
        assert facts.trouble or facts.equity is None
    elif name != "session.json":
        assert facts.equity is not None and not facts.trouble


def test_a_snapshot_of_another_form_is_told_and_raises_nothing(ended: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(ended, folder)
    for body in ("[]", '{"positions": 3}', '{"orders": [{}], "pending": [1]}', '{"orders": [{"ref": 1}], "pending": [1]}', "no json"):
        with closing(sqlite3.connect(folder / "session.db")) as db, db:
            db.execute("insert or replace into snapshot values (1, 0, ?)", (body,))
        read(folder)


def test_whether_orders_leave_is_told_before_the_session_has_told_anything(ended: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(ended, folder)
    (folder / "session.json").unlink()
    assert read(folder).plan.mode == ""
    plan = {"symbols": ["BTC/USDT"], "timeframe": "5m", "exchange": "bybit", "mode": "live"}
    (folder / "plan.json").write_text(json.dumps(plan))
    facts = read(folder)
    assert facts.plan.sends_orders and (facts.plan.symbols, facts.plan.venue) == (("BTC/USDT",), "bybit")
    assert facts.next_closes is not None and len(facts.forecasts) == 1
    assert "real orders" in card_of(facts) and 'data-live="real"' in card_of(facts)


def test_stops_at_a_venue_are_those_of_the_journal(ended: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(ended, folder)
    with closing(sqlite3.connect(folder / "session.db")) as db, db:
        db.execute("delete from snapshot")
    with closing(Journal(folder / "journal.db")) as journal:
        assert journal.open_intents() == []
    columns = "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, state"
    with closing(sqlite3.connect(folder / "journal.db")) as db, db:
        for name, stop, state in (("a", "95.5", "acknowledged"), ("b", None, "unknown"), ("c", "90", "done")):
            values = (name, "BTC/USDT", "sell", "0.1", None, stop, "", "", 0, state)
            db.execute(f"insert into intents ({columns}) values ({', '.join('?' * 10)})", values)
    found = read(folder).resting
    assert [(one.kind, one.side, one.size, one.price) for one in found] == [("stop", "sell", 0.1, 95.5), ("order", "sell", 0.1, None)]
    assert "at the market" in card_of(read(folder))


def test_a_stop_of_a_strategy_without_snapshots_is_the_one_that_was_recorded(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    levels = json.dumps([("sell", "liquidation", 40.0), ("sell", "trailing stop", 95.5)])
    with closing(sqlite3.connect(folder / "session.db")) as db, db:
        db.execute("delete from snapshot")
        for number, text in ((1.0, "[]"), (2.0, levels)):
            db.execute("insert into stops values (?, 'BTC/USDT', ?)", (number, text))
    [found] = read(folder).resting
    assert (found.kind, found.side, found.price) == ("trailing stop", "sell", 95.5)
    card = card_of(read(folder))
    assert "trailing stop: sell" in card and "when it ended" in card
    with closing(sqlite3.connect(folder / "session.db")) as db, db:
        db.execute("drop table stops")  # of an earlier version
    assert read(folder).resting == () and read(folder).trouble == ""


def test_a_session_on_the_sample_market_is_marked_before_it_has_told_anything(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    (folder / "session.json").unlink()
    plan = {"symbols": ["BTC/USDT"], "timeframe": "5m", "exchange": "binance", "mode": "paper"}
    for market, marked in (("sample", True), ("venue", False), ("candles.csv", False)):
        (folder / "plan.json").write_text(json.dumps({**plan, "market": market}))
        assert read(folder).plan.is_sample is marked


def test_the_curve_follows_the_table_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    simulated_session.write(tmp_path / "two", bars=500)
    found = read(tmp_path / "two").curve
    assert 3 < len(found) <= 170
    assert "<polyline" in card_of(read(tmp_path / "two"))
    (tmp_path / "two" / "equity.parquet").write_bytes(b"PAR1 cut")
    assert read(tmp_path / "two").curve == ()


def test_what_never_came_to_be_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    control.lock_of(tmp_path / "one").touch()
    assert session_names(tmp_path) == ["one"]
    assert "log.jsonl" in read(tmp_path / "one").trouble


def test_a_session_of_which_only_the_status_is_there_is_shown(tmp_path: Path) -> None:
    simulated_session.write(tmp_path / "two", bars=0)
    facts = read(tmp_path / "two")
    assert (facts.standing, facts.trouble) == ("died", "") and facts.status is not None


@pytest.mark.parametrize(
    ("standing", "running", "commands"),
    [
        (Standing.RUNNING, True, ("pause", "flatten", "kill")), (Standing.STALE, True, ("pause", "flatten", "kill")),
        (Standing.PAUSED, True, ("resume", "flatten", "kill")), (Standing.HALTED, True, ("resume", "flatten", "kill")),
        (Standing.HUNG, True, ("kill",)), (Standing.KILLED, True, ("kill",)), (Standing.KILLED, False, ("resume",)),
        (Standing.DIED, False, ("kill",)), (Standing.STOPPED, False, ()), (Standing.HALTED, False, ()),
    ],
)  # fmt: skip
def test_a_session_is_offered_what_it_can_obey(standing: Standing, running: bool, commands: tuple[str, ...]) -> None:
    assert possible_commands(standing, running=running) == commands
