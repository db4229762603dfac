"""Restoring a session's files from the documents of its mirror, on a machine that never saw it.

The mirror may lack the newest of what the other machine did. What it has is put back up to the last whole bar; with real orders the journal
is marked as one that may lack intents, so that the start fetches from the venue what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forwardtrader.core import atomic
from forwardtrader.core.errors import StoreDamaged
from forwardtrader.core.types import OHLCV
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.journal_rows import VERSION as JOURNAL_VERSION
from forwardtrader.live.mirror.collector import JOURNAL, PLAN, SESSION
from forwardtrader.live.mirror.documents import DECISION, FORECAST, USAGE
from forwardtrader.live.output.perpetual_facts import PRICES
from forwardtrader.live.output.state_store import Body
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.sqlite_file import Row, SqliteFile

Documents = Mapping[str, Body]  # by name below the session


@dataclass(frozen=True)
class Restored:
    """How much there was."""

    bars: int
    fills: int
    orders: int

    @property
    def text(self) -> str:
        return f"{self.bars} bars, {self.fills} fills, {self.orders} orders"


def not_whole(session: str, why: str) -> str:
    """What to say of a mirror that lacks something that it once had."""
    return (
        f"the mirror of session {session!r} is not whole ({why}); type --sync-firestore on the machine that has its files; "
        f"where they are lost, see at the venue to what it left there, and begin another --session"
    )


def restore(folder: Path, name: str, documents: Documents) -> Restored:
    """Write plan, session file and journal into a folder that has none.

    Args:
        name: of the session.
        documents: all of the session, by name below `sessions/NAME/`.

    Raises:
        StoreDamaged: the documents do not make a session.
    """
    try:
        atomic.write_text(folder / PLAN, documents["state/plan"]["body"])
        is_live = "state/journal" in documents
        bars = _session(folder / SESSION, documents, is_live=is_live)
        orders = _journal(folder / JOURNAL, documents) if is_live else len(_of(documents, "orders"))
    except (LookupError, TypeError, ValueError) as error:
        raise StoreDamaged(not_whole(name, f"{type(error).__name__}: {error}")) from error
    return Restored(bars, len(_of(documents, "fills")), orders)


def _session(path: Path, documents: Documents, *, is_live: bool) -> int:
    SessionStore(path).close()
    bars = _of(documents, "trading_logs")
    newest = max((body["account"]["number"] for body in bars if body["account"]), default=0.0)
    fills = [body for body in _of(documents, "fills") if is_live or body["number"] <= newest]  # paper makes the later ones again
    with closing(SqliteFile(path, "")) as db, db.transaction():
        for table, rows in ((name, rows) for name, rows in _bar_rows(bars).items() if rows):
            db.run_many(f"insert or replace into {table} values ({', '.join('?' * len(rows[0]))})", rows)
        _insert(db, "fills", fills)
        _insert(db, "perpetual_funding", _of(documents, "funding"))
        _insert(db, "commands", _of(documents, "commands"))
        _insert(db, "notes", _of(documents, "errors"))
        told = [(e["symbol"], e["trade_id"]) for e in _executions(documents) if e["recorded"]]
        db.run_many("insert into told values (?, ?)", told)
        if (snapshot := documents.get("state/snapshot")) is not None:
            db.run("insert into snapshot values (1, ?, ?)", snapshot["at"], snapshot["body"])
    return len(bars)


def _bar_rows(bars: Sequence[Body]) -> dict[str, list[Row]]:
    """The rows of all tables that have some for every bar."""
    found: dict[str, list[Row]] = {
        name: [] for name in ("bars", "perpetual_marks", "forecasts", "usage", "orders", "equity", "closes", "doubts", "late")
    }  # fmt: skip
    for body in bars:
        at, account = body["at"], body["account"]
        found["bars"] += [(symbol, at, *(bar[name] for name in OHLCV)) for symbol, bar in body["bars"].items()]
        marks = body.get("marks", {})  # which an earlier version did not mirror
        found["perpetual_marks"] += [(symbol, at, *(mark[name] for name in PRICES)) for symbol, mark in marks.items()]
        found["forecasts"] += [(symbol, at, *(made[name] for name in FORECAST)) for symbol, made in body["predictions"].items()]
        found["orders"] += [tuple(each[name] for name in DECISION) for each in body["decisions"]]
        found["doubts"] += [(at, symbol, reason) for symbol, reason in body["blocked"].items()]
        found["late"] += [(symbol, at, turn) for symbol, turn in body["late"].items()]
        if body["system_metrics"]:
            found["usage"].append((at, *(body["system_metrics"][name] for name in USAGE)))
        if account:
            found["equity"].append((account["number"], account["equity"], account["cash"]))
            found["closes"] += [(account["number"], symbol, close) for symbol, close in body["closes"].items()]
    return found


def _journal(path: Path, documents: Documents) -> int:
    Journal(path).close()
    orders, executions = _of(documents, "orders"), list(_executions(documents))
    with closing(SqliteFile(path, "", version=JOURNAL_VERSION)) as db, db.transaction():
        _insert(db, "intents", sorted(orders, key=lambda body: (body["bar"], body["client_id"])))
        _insert(db, "executions", executions)
        _insert(db, "payments", _of(documents, "payments"))
        replaced = [(e["symbol"], e["trade_id"], e["stand_in"]) for e in executions if e.get("stand_in")]
        db.run_many("insert into replacements values (?, ?, ?)", replaced)
        db.run_many("insert into marks values (?, ?)", list(documents["state/journal"].items()))
    with closing(Journal(path)) as journal:
        journal.mark_lost(whole=len(orders))
    return len(orders)


def _executions(documents: Documents) -> Iterator[Body]:
    return (body for body in _of(documents, "executions") if not body.get("replaced"))


def _of(documents: Documents, collection: str) -> list[Body]:
    """The documents of a collection, in the order of their names."""
    return [documents[name] for name in sorted(documents) if name.startswith(f"{collection}/")]


def _insert(db: SqliteFile, table: str, bodies: Iterable[Body]) -> None:
    """Insert documents as rows; what is no column of the table is for people."""
    columns = [str(row[1]) for row in db.all(f"pragma table_info({table})")]
    rows: list[tuple[Any, ...]] = [tuple(body[name] for name in columns) for body in bodies]
    db.run_many(f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})", rows)
