"""The journal of orders: intents, durable before the wire, and their executions.

An intent is in SQLite and on the disk before its order may be sent: in the write-ahead log, from where SQLite gets it at the next start if
a power cut took it there. Whatever follows can be fetched from the venue again, by client id. An order that waits on our side for others is
an intent too, held until it is released; it is on the disk before any order of its family is sent, and again before it is sent itself.
Executions are kept once each, by symbol and trade id.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.execution.events import ENDINGS, REPORTED, SYNTHETIC, Execution, Intent
from forwardtrader.live.execution.journal_rows import (
    COLUMNS,
    SCHEMA,
    UPGRADES,
    VERSION,
    execution_of,
    execution_row,
    held_in,
    intent_in,
    intent_of,
    payment_of,
    payment_row,
    record_of,
    row_of,
)
from forwardtrader.live.execution.write_ahead_log import SLOTS, WriteAheadLog
from forwardtrader.live.sqlite_file import SqliteFile
from forwardtrader.live.venue.perpetuals import FundingPayment

_LOG: Final = log.logger("live")

_FEW: Final = 8  # intents that a power cut may take from a file that was new


class IntentState(StrEnum):
    """The state of an intent. One that is held waits on our side, one that is dropped did, and was not sent; the next four are open."""

    HELD = "held"
    DROPPED = "dropped"
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
        self._file = SqliteFile(Path(path), SCHEMA, version=VERSION, upgrades=UPGRADES)
        self._wal = None if str(path) == ":memory:" else WriteAheadLog(Path(path).with_suffix(".intents"))
        if self._wal is not None:
            self._restore_lost(self._wal)
        self._known = {str(row[0]) for row in self._file.all("select client_id from intents")}
        self._gathered = threading.local()  # by thread: the records that its next write to the disk has, None where each goes by itself

    def close(self) -> None:
        self._file.close()
        if self._wal is not None:
            self._wal.close()

    # Intents

    def write(self, intent: Intent, held: Sequence[Intent] = ()) -> bool:
        """Make `intent` durable, and with it those that wait for it on our side, in one write to the disk.

        False if an intent of one of their ids is there already, so that none of them must be sent.
        """
        names = {each.client_id for each in (intent, *held)}
        if names & self._known:
            return False
        with self._file.transaction() if held else contextlib.nullcontext():
            self._insert(intent, IntentState.WRITTEN)
            for each in held:
                self._insert(each, IntentState.HELD)
        self._known |= names
        self._put(intent, IntentState.WRITTEN, list(held))
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
        """Let a held order be sent, with the size and the bar that it has now: true once."""
        if not self._release(intent):
            return False
        self._put(intent, IntentState.WRITTEN)
        return True

    def gather(self) -> None:
        """What this thread writes from now on is on the disk with `write_gathered`: no such order may be sent before."""
        self._gathered.records = []

    def write_gathered(self) -> None:
        """Make durable what was gathered, in as few writes as it fits into, and gather no more."""
        records, self._gathered.records = getattr(self._gathered, "records", None) or [], None
        self._write_down(records)

    def amend(self, intent: Intent) -> None:
        """Give an order that waits on our side its present prices; one that a power cut takes back moves again."""
        sql = "update intents set limit_price = ?, stop_price = ?, trail = ? where client_id = ? and state = ?"
        row = dict(zip(COLUMNS.split(", "), row_of(intent), strict=True))
        self._file.run(sql, row["limit_price"], row["stop_price"], row["trail"], intent.client_id, IntentState.HELD)

    def claim(self, client_id: str) -> bool:
        """Whether the caller may post the order: true once for each intent that was written."""
        sql = "update intents set state = ? where client_id = ? and state = ?"
        return self._file.run(sql, IntentState.SENT, client_id, IntentState.WRITTEN).rowcount == 1

    def mark(self, client_id: str, state: IntentState, *, venue_id: str = "", note: str = "") -> None:
        """Move an intent on; one that was not claimed yet can no longer be claimed.

        A venue id that is known stays known, and so does a note that its end is dealt with.
        """
        sql = (
            "update intents set state = ?, venue_id = case when ? <> '' then ? else venue_id end,"
            " note = case when substr(note, 1, ?) = ? then note else ? end where client_id = ?"
        )
        self._file.run(sql, state, venue_id, venue_id, len(REPORTED), REPORTED, note, client_id)

    def note_reported(self, client_id: str) -> None:
        """The run of an intent that has ended has dealt with that."""
        sql = "update intents set note = ? || note where client_id = ? and state in (?, ?) and substr(note, 1, ?) <> ?"
        self._file.run(sql, REPORTED, client_id, IntentState.REFUSED, IntentState.DONE, len(REPORTED), REPORTED)

    def want_again(self, client_id: str) -> None:
        """An order that was to be cancelled is to rest after all: if it ends now, its run has not asked for that."""
        sql = "update intents set note = '' where client_id = ? and substr(note, 1, ?) = ?"
        self._file.run(sql, client_id, len(REPORTED), REPORTED)

    def is_reported(self, client_id: str) -> bool:
        """Whether the run of an intent has dealt with its end, or has asked for it."""
        row = self._file.one("select note from intents where client_id = ?", client_id)
        return row is not None and str(row[0]).startswith(REPORTED)

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

    def oldest(self) -> str:
        """Client id of the first intent; "" where there is none."""
        row = self._file.one("select client_id from intents order by rowid limit 1")
        return str(row[0]) if row else ""

    def named(self, names: Collection[str]) -> list[tuple[Intent, IntentState, str]]:
        """Those of these client ids, oldest first, with what was noted with their state, such as the reason of a refusal."""
        sql = f"select {COLUMNS}, state, note from intents where client_id in ({', '.join('?' * len(names))}) order by rowid"
        return [(intent_of(row), IntentState(row[-2]), str(row[-1])) for row in self._file.all(sql, *names)]

    def ended_unreported(self) -> list[str]:
        """Client ids of those that are gone from the venue, not wholly executed, and whose run has not dealt with that."""
        rows = self._file.all("select client_id from intents where state = ? and note in (?, ?)", IntentState.DONE, *ENDINGS)
        return [str(row[0]) for row in rows]

    def joined_intents(self) -> list[tuple[Intent, IntentState]]:
        """Those that belong to others, oldest first, without the ones that they name."""
        return self._intents("where parent <> '' or oco <> '' or replaces <> '' order by rowid")

    def held_intents(self) -> list[Intent]:
        """Those that wait on our side, oldest first."""
        return [intent for intent, _ in self._intents("where state = ? order by rowid", IntentState.HELD)]

    def drop_held(self, note: str) -> None:
        """Those that wait on our side are not sent any more."""
        self._file.run("update intents set state = ?, note = ? where state = ?", IntentState.DROPPED, note, IntentState.HELD)

    def open_intents(self) -> list[tuple[Intent, IntentState]]:
        """Everything that may still be executed, oldest first."""
        return self._intents(f"where state in ({', '.join('?' * len(OPEN))}) order by rowid", *OPEN)

    def closed_short(self, newest: int = 20) -> list[Intent]:
        """The newest of those that closed with less than their size booked, newest first."""
        found = self._intents(f"where state in (?, ?) order by rowid desc limit {newest}", IntentState.REFUSED, IntentState.DONE)
        return [intent for intent, _ in found if self.filled(intent.client_id) < intent.request.size]

    def intents(self, after: int = 0) -> list[tuple[Intent, IntentState]]:
        """All of them but the first `after`, oldest first."""
        return self._intents("order by rowid limit -1 offset ?", after)

    # Executions

    def book(self, execution: Execution) -> bool:
        """Keep one execution; False if it is known already."""
        sql = f"insert or ignore into executions values ({', '.join('?' * 10)})"
        return self._file.run(sql, *execution_row(execution)).rowcount == 1

    def executions(self, client_id: str | None = None) -> list[Execution]:
        """All executions in order of time, or those of one order."""
        chosen, values = ("where client_id = ?", (client_id,)) if client_id is not None else ("", ())
        rows = self._file.all(f"select * from executions {chosen} order by at, length(trade_id), trade_id", *values)
        return [execution_of(row) for row in rows]

    def replace(self, stand_in: Execution, executions: Sequence[Execution]) -> None:
        """Keep the executions in place of the one that stood for them."""
        kept = json.dumps([str(value) for value in execution_row(stand_in)])
        with self._file.transaction():
            self._file.run("delete from executions where symbol = ? and trade_id = ?", stand_in.symbol, stand_in.trade_id)
            for e in executions:
                self.book(e)
                self._file.run("insert or replace into replacements values (?, ?, ?)", e.symbol, e.trade_id, kept)

    def replacements(self) -> list[tuple[Execution, list[Execution]]]:
        """Every execution that was replaced, with those in its place."""
        found: dict[str, list[Execution]] = {}
        for symbol, trade_id, kept in self._file.all("select symbol, trade_id, stand_in from replacements order by stand_in"):
            [row] = self._file.all("select * from executions where symbol = ? and trade_id = ?", symbol, trade_id)
            found.setdefault(str(kept), []).append(execution_of(row))
        return [(execution_of(tuple(json.loads(kept))), executions) for kept, executions in found.items()]

    def stand_ins(self) -> list[Execution]:
        """Executions that stand for others which the venue did not list."""
        return [execution_of(row) for row in self._file.all("select * from executions where trade_id glob ?", f"{SYNTHETIC}*")]

    def symbols_without_fees(self) -> list[str]:
        """Symbols with executions of which no fee is known, such as stand-ins: what they cost is not known exactly."""
        return [str(row[0]) for row in self._file.all("select distinct symbol from executions where fee_currency = ''")]

    def filled(self, client_id: str) -> Decimal:
        """How much of an order is booked."""
        return sum((e.size for e in self.executions(client_id)), Decimal(0))

    # Perpetuals

    def book_payment(self, payment: FundingPayment) -> bool:
        """Keep one funding payment; False if it is known already."""
        return self._file.run("insert or ignore into payments values (?, ?, ?, ?, ?)", *payment_row(payment)).rowcount == 1

    def payments(self) -> list[FundingPayment]:
        """Funding paid and received, oldest first."""
        return [payment_of(row) for row in self._file.all("select * from payments order by at, id")]

    def enlarge(self, client_id: str, size: Decimal) -> None:
        """An order that the venue made by itself turns out to be of this size."""
        self._file.run("update intents set size = ? where client_id = ?", str(size), client_id)

    # Loss

    @property
    def is_lost(self) -> bool:
        """Whether intents are missing, or executions of orders that are done: a start rebuilds them from what the venue lists."""
        return bool(self.recall("lost", False))

    def mark_lost(self, *, whole: int = 0) -> None:
        """The journal began anew in place of one that was lost or damaged.

        Args:
            whole: how many intents it has with all that joins them: those of a copy, which may lack newer ones.
        """
        self.remember("lost", {"whole": whole})

    @property
    def whole(self) -> int:
        """How many intents, from the first on, were there when it was marked as lost."""
        marked = self.recall("lost", False)
        return int(marked["whole"]) if isinstance(marked, dict) else 0

    def accept_loss(self) -> None:
        """What could be rebuilt is here."""
        self._force()
        self.remember("lost", False)

    def is_sound(self) -> bool:
        """Whether the file can be read from end to end."""
        return self._file.all("pragma quick_check") == [("ok",)]

    def restore(self, intent: Intent) -> None:
        """Insert an intent that the venue has and the journal lacks."""
        self._insert(intent, IntentState.WRITTEN)
        self._known.add(intent.client_id)

    # Anything else that must survive

    def remember(self, name: str, value: object) -> None:
        """Keep a plain JSON value under a name."""
        self._file.run("insert into marks values (?, ?) on conflict do update set value = excluded.value", name, json.dumps(value))

    def recall(self, name: str, otherwise: Any = None) -> Any:
        row = self._file.one("select value from marks where name = ?", name)
        return json.loads(row[0]) if row else otherwise

    def _intents(self, chosen: str, *values: str | int) -> list[tuple[Intent, IntentState]]:
        rows = self._file.all(f"select {COLUMNS}, state from intents {chosen}", *values)
        return [(intent_of(row), IntentState(row[-1])) for row in rows]

    def _insert(self, intent: Intent, state: IntentState) -> bool:
        places = ", ".join("?" * (COLUMNS.count(",") + 2))
        sql = f"insert or ignore into intents ({COLUMNS}, state) values ({places})"
        return self._file.run(sql, *row_of(intent), state).rowcount == 1

    def _release(self, intent: Intent) -> bool:
        sql = "update intents set state = ?, size = ?, bar = ?, triggered = ? where client_id = ? and state = ?"
        values = (str(intent.request.size), intent.bar, intent.triggered, intent.client_id)
        return self._file.run(sql, IntentState.WRITTEN, *values, IntentState.HELD).rowcount == 1

    def _put(self, intent: Intent, state: IntentState, held: Sequence[Intent] = ()) -> None:
        record, beside = record_of(intent, state), [record_of(each, IntentState.HELD) for each in held]
        # Those that wait for it come first where they do not all fit into one slot.
        records = [record, *beside] if self._wal is None or self._wal.fits(_joined([record, *beside])) else [*beside, record]
        if (gathered := getattr(self._gathered, "records", None)) is not None:
            gathered += records
        else:
            self._write_down(records)

    def _write_down(self, records: Sequence[dict[str, object]]) -> None:
        if self._wal is None:
            return
        for together in _in_slots(records, self._wal):
            if self._wal.put(together) % (SLOTS // 2) == 0:
                self._force()  # a slot is used again only when SQLite has what stood in it for good

    def _force(self) -> None:
        with self._file.forced():
            self.remember("forced", self._wal.next if self._wal else 0)

    def _restore_lost(self, wal: WriteAheadLog) -> None:
        """Insert again what a power cut took from SQLite; whether those intents were sent, only the venue knows.

        A power cut takes no more than the log holds, and not the whole file: else the file was lost.
        """
        was_empty = self._file.one("select 1 from intents") is None
        every = [each for record in wal.records for each in (record, *held_in(record))]
        lost = [str(record["client_id"]) for record in every if self._restore(record)]
        if lost:
            log.event(_LOG, "intents_taken_back", client_ids=lost)
        if wal.next - SLOTS > max(1, self.recall("forced", 1)) or (was_empty and len(lost) > _FEW):
            self.mark_lost()

    def _restore(self, record: Mapping[str, object]) -> bool:
        intent, state = intent_in(record), IntentState(str(record.get("state", IntentState.WRITTEN)))
        return self._insert(intent, state) or (state is IntentState.WRITTEN and self._release(intent))


def _in_slots(records: Sequence[dict[str, object]], wal: WriteAheadLog) -> Iterator[dict[str, object]]:
    """As few records as the same fit into: the first of each has the others beside it."""
    together: list[dict[str, object]] = []
    for record in records:
        if together and not wal.fits(_joined([*together, record])):
            yield _joined(together)
            together = []
        together.append(record)
    if together:
        yield _joined(together)


def _joined(records: Sequence[dict[str, object]]) -> dict[str, object]:
    first, *beside = records
    return {**first, "held": beside} if beside else first
