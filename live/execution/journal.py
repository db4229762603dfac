"""The journal of orders: intents, durable before the wire, and their executions.

An intent is in SQLite and on the disk before its order may be sent: in the write-ahead log, from where SQLite gets it at the next start if
a power cut took it there. Whatever follows can be fetched from the venue again, by client id. An order that waits on our side for others is
an intent too, held until it is released; it is on the disk before any order of its family is sent, and again before it is sent itself.
Executions are kept once each, by symbol and trade id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.write_ahead_log import SLOTS, WriteAheadLog
from forwardtrader.live.sqlite_file import Row, SqliteFile

_LOG: Final = log.logger("live")

_VERSION: Final = 2
_UPGRADES: Final = {
    1: """
alter table intents add column parent text not null default '';
alter table intents add column oco text not null default '';
alter table intents add column expires integer not null default 0;
alter table intents add column triggered integer not null default 0;
alter table intents add column replaces text not null default '';
"""
}
_SCHEMA: Final = """
create table if not exists intents (
    client_id text primary key, symbol text not null, side text not null, size text not null, limit_price text, stop_price text,
    reason text not null, role text not null, bar integer not null, state text not null, venue_id text not null default '',
    note text not null default '', parent text not null default '', oco text not null default '', expires integer not null default 0,
    triggered integer not null default 0, replaces text not null default '');
create index if not exists held_intents on intents (state) where state = 'held';
create index if not exists open_intents on intents (state) where state in ('written', 'sent', 'unknown', 'acknowledged');
create table if not exists executions (
    symbol text not null, trade_id text not null, client_id text not null, venue_id text not null, side text not null,
    size text not null, price text not null, fee text not null, fee_currency text not null, at integer not null,
    primary key (symbol, trade_id)) without rowid;
create index if not exists executions_of on executions (client_id);
create table if not exists marks (name text primary key, value text not null) without rowid;
"""


_COLUMNS: Final = "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, parent, oco, expires, triggered, replaces"
_REASON: Final = 200  # characters of it in the write-ahead log, whose slots are small


class IntentState(StrEnum):
    """The state of an intent. One that is held waits on our side; the four after it are open."""

    HELD = "held"
    WRITTEN = "written"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    DONE = "done"


OPEN: Final = (IntentState.WRITTEN, IntentState.SENT, IntentState.UNKNOWN, IntentState.ACKNOWLEDGED)


class Journal:
    """One file; may be used from several threads.

    Raises:
        StoreDamaged: the file is not a journal of this version.
        StorageFull: the disk takes no more; nothing was sent for what could not be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._file = SqliteFile(Path(path), _SCHEMA, version=_VERSION, upgrades=_UPGRADES)
        self._wal = None if str(path) == ":memory:" else WriteAheadLog(Path(path).with_suffix(".intents"))
        if self._wal is not None:
            self._restore_lost(self._wal.records)
        self._known = {str(row[0]) for row in self._file.all("select client_id from intents")}

    def close(self) -> None:
        self._file.close()
        if self._wal is not None:
            self._wal.close()

    # Intents

    def write(self, intent: Intent, held: Sequence[Intent] = ()) -> bool:
        """Make `intent` durable, and with it those that wait for it on our side, in one write to the disk.

        False if an intent of its id is there already, so that it must not be sent again.
        """
        if intent.client_id in self._known:
            return False
        waiting = [each for each in held if each.client_id not in self._known]
        with self._file.transaction():
            self._insert(intent, IntentState.WRITTEN)
            for each in waiting:
                self._insert(each, IntentState.HELD)
        self._known |= {intent.client_id, *(each.client_id for each in waiting)}
        self._put(intent, IntentState.WRITTEN, waiting)
        return True

    def hold(self, intent: Intent) -> bool:
        """Make durable an order that waits on our side; False if one of its id is there already."""
        if intent.client_id in self._known:
            return False
        self._insert(intent, IntentState.HELD)
        self._known.add(intent.client_id)
        self._put(intent, IntentState.HELD)
        return True

    def release(self, intent: Intent) -> bool:
        """Let a held order be sent, with the size that it has now: true once."""
        if not self._release(intent):
            return False
        self._put(intent, IntentState.WRITTEN)
        return True

    def claim(self, client_id: str) -> bool:
        """Whether the caller may post the order: true once for each intent that was written."""
        sql = "update intents set state = ? where client_id = ? and state = ?"
        return self._file.run(sql, IntentState.SENT, client_id, IntentState.WRITTEN).rowcount == 1

    def mark(self, client_id: str, state: IntentState, *, venue_id: str = "", note: str = "") -> None:
        """Move an intent on; a venue id that is known stays known. One that was not claimed yet can no longer be claimed."""
        sql = "update intents set state = ?, venue_id = case when ? <> '' then ? else venue_id end, note = ? where client_id = ?"
        self._file.run(sql, state, venue_id, venue_id, note, client_id)

    def state_of(self, client_id: str) -> IntentState | None:
        """The state of an intent; None for one that is not ours."""
        row = self._file.one("select state from intents where client_id = ?", client_id)
        return IntentState(row[0]) if row else None

    def intent(self, client_id: str) -> Intent | None:
        rows = self._intents("where client_id = ?", client_id)
        return rows[0][0] if rows else None

    def venue_id_of(self, client_id: str) -> str:
        """The venue's id of an intent; "" while it is not known."""
        row = self._file.one("select venue_id from intents where client_id = ?", client_id)
        return str(row[0]) if row else ""

    def client_id_of(self, venue_id: str) -> str:
        """The intent that the venue knows as `venue_id`; "" where it is not one of ours."""
        row = self._file.one("select client_id from intents where venue_id = ?", venue_id) if venue_id else None
        return str(row[0]) if row else ""

    def held_intents(self) -> list[Intent]:
        """Those that wait on our side, oldest first."""
        return [intent for intent, _ in self._intents("where state = ? order by rowid", IntentState.HELD)]

    def open_intents(self) -> list[tuple[Intent, IntentState]]:
        """Everything that may still be executed, oldest first."""
        return self._intents(f"where state in ({', '.join('?' * len(OPEN))}) order by rowid", *OPEN)

    def intents(self) -> list[tuple[Intent, IntentState]]:
        """All of them, oldest first."""
        return self._intents("order by rowid")

    # Executions

    def book(self, execution: Execution) -> bool:
        """Keep one execution; False if it is known already."""
        e = execution
        row = (e.symbol, e.trade_id, e.client_id, e.venue_id, e.side, str(e.size), str(e.price), str(e.fee), e.fee_currency, e.at)
        return self._file.run("insert or ignore into executions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row).rowcount == 1

    def executions(self, client_id: str | None = None) -> list[Execution]:
        """All executions in order of time, or those of one order."""
        chosen, values = ("where client_id = ?", (client_id,)) if client_id is not None else ("", ())
        rows = self._file.all(f"select * from executions {chosen} order by at, length(trade_id), trade_id", *values)
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

    def remember(self, name: str, value: object) -> None:
        """Keep a plain JSON value under a name."""
        self._file.run("insert into marks values (?, ?) on conflict do update set value = excluded.value", name, json.dumps(value))

    def recall(self, name: str, otherwise: Any = None) -> Any:
        row = self._file.one("select value from marks where name = ?", name)
        return json.loads(row[0]) if row else otherwise

    def _intents(self, chosen: str, *values: str) -> list[tuple[Intent, IntentState]]:
        rows = self._file.all(f"select {_COLUMNS}, state from intents {chosen}", *values)
        return [(_intent(row), IntentState(row[-1])) for row in rows]

    def _insert(self, intent: Intent, state: IntentState) -> bool:
        places = ", ".join("?" * (_COLUMNS.count(",") + 2))
        sql = f"insert or ignore into intents ({_COLUMNS}, state) values ({places})"
        return self._file.run(sql, *_row(intent), state).rowcount == 1

    def _release(self, intent: Intent) -> bool:
        sql = "update intents set state = ?, size = ?, triggered = ? where client_id = ? and state = ?"
        values = (str(intent.request.size), intent.triggered, intent.client_id)
        return self._file.run(sql, IntentState.WRITTEN, *values, IntentState.HELD).rowcount == 1

    def _put(self, intent: Intent, state: IntentState, held: Sequence[Intent] = ()) -> None:
        if self._wal is None:
            return
        record, beside = _record(intent, state), [_record(each, IntentState.HELD) for each in held]
        together = {**record, "held": beside} if beside else record
        for each in [together] if self._wal.fits(together) else [*beside, record]:
            if self._wal.put(each) % (SLOTS // 2) == 0:
                self._force()  # a slot is used again only when SQLite has what stood in it for good

    def _force(self) -> None:
        with self._file.forced():
            self.remember("forced", self._wal.next if self._wal else 0)

    def _restore_lost(self, records: Iterable[Mapping[str, object]]) -> None:
        """Insert again what a power cut took from SQLite; whether those intents were sent, only the venue knows."""
        every = [each for record in records for each in (record, *_beside(record))]
        lost = [intent.client_id for record in every if self._restore(intent := _from_record(record), _state_in(record))]
        if lost:
            log.event(_LOG, "intents_taken_back", client_ids=lost)

    def _restore(self, intent: Intent, state: IntentState) -> bool:
        return self._insert(intent, state) or (state is IntentState.WRITTEN and self._release(intent))


def _intent(row: Row) -> Intent:
    request = OrderRequest(
        symbol=row[1], side=Side(row[2]), size=Decimal(row[3]), limit_price=_number(row[4]), stop_price=_number(row[5]), reason=row[6]
    )
    return Intent(
        client_id=row[0], request=request, role=row[7], bar=row[8], parent=row[9], group=row[10], expires=row[11], triggered=bool(row[12]),
        replaces=row[13],
    )  # fmt: skip


def _row(intent: Intent) -> Row:
    request = intent.request
    return (
        intent.client_id, request.symbol, str(request.side), str(request.size), _text(request.limit_price), _text(request.stop_price),
        request.reason, intent.role, intent.bar, intent.parent, intent.group, intent.expires, intent.triggered,
        intent.replaces,
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


_NAMES: Final = (
    "client_id", "symbol", "side", "size", "limit", "stop", "reason", "role", "bar", "parent", "group", "expires", "triggered", "replaces",
)  # fmt: skip
_LATER: Final = {"parent": "", "group": "", "expires": 0, "triggered": False, "replaces": ""}  # records of earlier versions lack these


def _record(intent: Intent, state: IntentState) -> dict[str, object]:
    short = replace(intent, request=replace(intent.request, reason=intent.request.reason[:_REASON]))
    return {**dict(zip(_NAMES, _row(short), strict=True)), "state": str(state)}


def _from_record(record: Mapping[str, object]) -> Intent:
    found = {**_LATER, **record}
    return _intent(tuple(found[name] for name in _NAMES))


def _state_in(record: Mapping[str, object]) -> IntentState:
    return IntentState(str(record.get("state", IntentState.WRITTEN)))


def _beside(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    held = record.get("held", [])
    return held if isinstance(held, list) else []
