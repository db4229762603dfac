"""What was intended, and what came of it: durable before the wire, SQLite in write-ahead mode.

An intent is forced to disk before its order may be sent. Executions are kept once each, by symbol and trade id.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from core.errors import StorageFull, StoreDamaged
from core.types import OrderRequest, Side
from live.account_events import Execution, Intent

_SCHEMA: Final = """
create table if not exists intents (
    client_id text primary key, symbol text not null, side text not null, size text not null, limit_price text, stop_price text,
    reason text not null, role text not null, bar integer not null, state text not null, venue_id text not null default '',
    note text not null default '');
create index if not exists open_intents on intents (state) where state in ('written', 'sent', 'unknown', 'acknowledged');
create table if not exists executions (
    symbol text not null, trade_id text not null, client_id text not null, venue_id text not null, side text not null,
    size text not null, price text not null, fee text not null, fee_currency text not null, at integer not null,
    primary key (symbol, trade_id)) without rowid;
create index if not exists executions_of on executions (client_id);
create table if not exists marks (name text primary key, value text not null) without rowid;
"""
_VERSION: Final = 1


class State(StrEnum):
    """Where an intent stands. The first four are open."""

    WRITTEN = "written"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    DONE = "done"


OPEN: Final = (State.WRITTEN, State.SENT, State.UNKNOWN, State.ACKNOWLEDGED)


class Journal:
    """One file; may be used from several threads.

    Raises:
        StoreDamaged: the file is not a journal of this version.
        StorageFull: the disk takes no more; nothing was sent for what could not be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        with _translated(self.path):
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            version = self._db.execute("pragma user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise StoreDamaged(f"{self.path} was written by another version ({version}); start a session of another name")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"pragma user_version = {_VERSION}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Intents

    def write(self, intent: Intent) -> bool:
        """Make `intent` durable; False if one of this id is there already, so that it must not be sent again."""
        request = intent.request
        row = (
            intent.client_id, request.symbol, str(request.side), str(request.size), _text(request.limit_price), _text(request.stop_price),
            request.reason, intent.role, intent.bar, State.WRITTEN,
        )  # fmt: skip
        sql = (
            "insert or ignore into intents (client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, state) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        # Only this is forced to disk: whatever follows can be had from the venue again, by client id.
        with self._lock:
            self._run("pragma synchronous = full", ())
            try:
                return self._run(sql, row).rowcount == 1
            finally:
                self._run("pragma synchronous = normal", ())

    def mark(self, client_id: str, state: State, *, venue_id: str = "", note: str = "") -> None:
        """Move an intent on; a venue id that is known stays known."""
        sql = "update intents set state = ?, venue_id = case when ? <> '' then ? else venue_id end, note = ? where client_id = ?"
        self._run(sql, (state, venue_id, venue_id, note, client_id))

    def state_of(self, client_id: str) -> State | None:
        row = self._one("select state from intents where client_id = ?", client_id)
        return State(row[0]) if row else None

    def intent(self, client_id: str) -> Intent | None:
        rows = self._intents("where client_id = ?", client_id)
        return rows[0][0] if rows else None

    def venue_id(self, client_id: str) -> str:
        row = self._one("select venue_id from intents where client_id = ?", client_id)
        return str(row[0]) if row else ""

    def client_id_of(self, venue_id: str) -> str:
        """The intent that the venue knows as `venue_id`; "" where it is not one of ours."""
        row = self._one("select client_id from intents where venue_id = ?", venue_id) if venue_id else None
        return str(row[0]) if row else ""

    def open_intents(self) -> list[tuple[Intent, State]]:
        """Everything that may still be executed, oldest first."""
        return self._intents(f"where state in ({', '.join('?' * len(OPEN))}) order by rowid", *OPEN)

    def intents(self) -> list[tuple[Intent, State]]:
        """All of them, oldest first."""
        return self._intents("order by rowid")

    # Executions

    def book(self, execution: Execution) -> bool:
        """Keep one execution; False if it is known already."""
        e = execution
        row = (e.symbol, e.trade_id, e.client_id, e.venue_id, e.side, str(e.size), str(e.price), str(e.fee), e.fee_currency, e.at)
        return self._run("insert or ignore into executions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row).rowcount == 1

    def executions(self, client_id: str | None = None) -> list[Execution]:
        """All executions in order of time, or those of one order."""
        chosen, values = ("where client_id = ?", (client_id,)) if client_id is not None else ("", ())
        with self._lock, _translated(self.path):
            rows = self._db.execute(f"select * from executions {chosen} order by at, length(trade_id), trade_id", values).fetchall()
        return [
            Execution(
                symbol=r[0], trade_id=r[1], client_id=r[2], venue_id=r[3], side=r[4], size=Decimal(r[5]), price=Decimal(r[6]),
                fee=Decimal(r[7]), fee_currency=r[8], at=r[9],
            )
            for r in rows
        ]  # fmt: skip

    def filled(self, client_id: str) -> Decimal:
        """How much of an order is booked."""
        return sum((e.size for e in self.executions(client_id)), Decimal(0))

    # Anything else that must survive

    def remember(self, name: str, value: Any) -> None:
        """Keep a plain JSON value under a name."""
        self._run("insert into marks values (?, ?) on conflict do update set value = excluded.value", (name, json.dumps(value)))

    def recall(self, name: str, otherwise: Any = None) -> Any:
        row = self._one("select value from marks where name = ?", name)
        return json.loads(row[0]) if row else otherwise

    def _intents(self, chosen: str, *values: str) -> list[tuple[Intent, State]]:
        columns = "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, state"
        with self._lock, _translated(self.path):
            rows = self._db.execute(f"select {columns} from intents {chosen}", values).fetchall()
        return [(_intent(row), State(row[9])) for row in rows]

    def _run(self, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        with self._lock, _translated(self.path):
            return self._db.execute(sql, values)

    def _one(self, sql: str, *values: str) -> tuple[Any, ...] | None:
        with self._lock, _translated(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row


def _intent(row: tuple[Any, ...]) -> Intent:
    request = OrderRequest(
        symbol=row[1], side=Side(row[2]), size=Decimal(row[3]), limit_price=_number(row[4]), stop_price=_number(row[5]), reason=row[6]
    )
    return Intent(client_id=row[0], request=request, bar=row[8], role=row[7])


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageFull(f"{path} cannot be written ({error}); free some disk, or make the folder writable") from error
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(f"{path} is damaged ({error}); move it away, the venue's records stand") from error
