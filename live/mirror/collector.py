"""The collector: brings the documents of a session in the state store up to date with the session's files, a few at a time.

It reads over connections of its own, so that neither the session's loop nor its journal ever waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from sqlite3 import Error, connect
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.mirror.documents import (
    COMMANDS,
    EXECUTIONS,
    FILLS,
    FUNDING,
    INTENTS,
    NOTES,
    PAPER_ORDERS,
    PAYMENTS,
    RowKind,
    bar_documents,
    keyed_documents,
    positions_of,
    row_documents,
)
from forwardtrader.live.output.state_store import Body, StateStore, Urgency
from forwardtrader.live.sqlite_file import SqliteFile
from forwardtrader.models.registry.promotion_log import PromotionLog

PLAN: Final = "plan.json"
SESSION: Final = "session.db"
JOURNAL: Final = "journal.db"
_AT_ONCE: Final = 500
_BARS_AT_ONCE: Final = 200
_REMEMBERED: Final = 5000  # documents
_YET_TO_CHANGE: Final = 3  # bars: what was decided on one is recorded with the next
_NOT_MIRRORED: Final = ("lost", "forced")  # marks of this journal's own files
_OPEN: Final = "where state in ('held', 'written', 'sent', 'unknown', 'acknowledged')"
_ROWS: Final = {kind.collection for kind in (FILLS, FUNDING, COMMANDS, NOTES, PAPER_ORDERS, INTENTS, EXECUTIONS, PAYMENTS)}
_COLLECTED: Final = _ROWS | {"trading_logs", "positions", "promotions", "state"}
Documents = Iterable[tuple[str, Body]]


def is_collected(name: str) -> bool:
    """Whether a document (`sessions/NAME/COLLECTION/ID`) is made of the session's files, so that it is made again where it is missing."""
    return name.split("/")[2:3] != [] and name.split("/")[2] in _COLLECTED


class SessionCollector:
    """Writes documents below `sessions/NAME`; where it stands is kept in the state store.

    Args:
        folder: of the session.
        anew: begin with the first row, whatever was written before.

    Attributes:
        seen: the names of all documents that were made, where they are made anew.
    """

    def __init__(self, store: StateStore, folder: Path, symbols: Sequence[str], *, anew: bool = False) -> None:
        self._store, self._folder, self._symbols, self._anew = store, folder, tuple(symbols), anew
        self._mark = f"collected:{folder.name}"
        self._place: dict[str, Any] = {} if anew else dict(store.recall(self._mark, {}))
        self._whole = not self._place
        self._as_written: dict[str, str] = {}
        self.written = 0
        self.seen: set[str] = set()

    def step(self) -> bool:
        """Write what changed, of long tables a part; returns whether there is more."""
        with ExitStack() as stack:
            session = stack.enter_context(closing(SqliteFile(self._folder / SESSION, "", reads=True)))
            path = self._folder / JOURNAL
            version = _version(path)
            journal = stack.enter_context(closing(SqliteFile(path, "", version=version, reads=True))) if version else None
            more = self._rows(session, (FILLS, COMMANDS, NOTES, *(() if journal else (PAPER_ORDERS,))))
            more |= self._rows(journal, (INTENTS,)) if journal is not None else False
            more |= self._bars(session)
            if not more:
                self._write(keyed_documents(session, FILLS, "where id in (select id from corrected)"))
                self._write(keyed_documents(session, FUNDING, f"order by at desc{self._newest(FUNDING)}"), Urgency.LATER)
                self._state(session, journal)
                self._executed(session, journal)
        self._store.remember(self._mark, self._place)
        self._whole = self._whole and more
        return more

    def all(self) -> int:
        """Write everything; returns how many documents were not as they are now."""
        while self.step():
            pass
        return self.written

    # Parts

    def _rows(self, db: SqliteFile, kinds: Sequence[RowKind]) -> bool:
        more = False
        for kind in kinds:
            known = int(self._place.get(kind.table, 0))
            if known and known > int(db.all(f"select max(rowid) from {kind.table}")[0][0] or 0):
                known = 0  # another file: one that was put back, or a session that began anew
            documents, last = row_documents(db, kind, max(0, known - kind.most_recent), _AT_ONCE + kind.most_recent)
            # Of orders what belongs to another one first: whoever restores that one knows all that joins it.
            self._write(reversed(documents) if kind is INTENTS else documents)
            self._place[kind.table] = last
            more |= len(documents) == _AT_ONCE + kind.most_recent
        return more

    def _executed(self, session: SqliteFile, journal: SqliteFile | None) -> None:
        """Positions, and with real orders what the journal knows of executions."""
        self._write(positions_of(_executed(session, journal)))
        if journal is None:
            return
        self._write(keyed_documents(journal, INTENTS, _OPEN))
        newest = self._newest(EXECUTIONS)
        booked = keyed_documents(journal, EXECUTIONS, f"order by at desc{newest}")
        self._write(_with_origin(booked, journal, session))
        self._bury(journal)
        self._write(keyed_documents(journal, PAYMENTS, f"order by at desc{newest}"))

    def _newest(self, kind: RowKind) -> str:
        """The end of a query for the rows that may be new; for all, where the documents are made anew."""
        return "" if self._whole else f" limit {kind.most_recent}"

    def _bury(self, journal: SqliteFile) -> None:
        """A stand-in that was replaced by what it stood for is no execution any more; its document says so."""
        for [text] in journal.all("select distinct stand_in from replacements"):
            symbol, trade_id, *_ = json.loads(text)
            name = EXECUTIONS.name({"symbol": symbol, "trade_id": trade_id})
            if self._store.get(self._named(name)) is not None:
                self._write([(name, {"symbol": symbol, "trade_id": trade_id, "replaced": True})])

    def _bars(self, db: SqliteFile) -> bool:
        begin, iteration = self._place.get("bars", (0, 1))
        if begin and db.one("select 1 from bars where symbol = ? and at >= ?", self._symbols[0], begin) is None:
            begin, iteration = 0, 1
        begin, iteration = self._unmarked(db, begin, iteration)
        chosen = " union ".join("select at from bars where symbol = ? and at >= ?" for _ in self._symbols)
        values = [value for symbol in self._symbols for value in (symbol, begin)]
        times = [int(at) for (at,) in db.all(f"select at from ({chosen}) order by at limit {_BARS_AT_ONCE}", *values)]
        self._write(bar_documents(db, times, iteration), Urgency.LATER)
        if passed := max(0, len(times) - _YET_TO_CHANGE):
            self._place["bars"] = (times[passed], iteration + passed)
        return len(times) == _BARS_AT_ONCE

    def _unmarked(self, db: SqliteFile, begin: int, iteration: int) -> tuple[int, int]:
        """Where to begin: earlier, where the venue published the marks of bars after these were written."""
        newest = {str(symbol): int(at) for symbol, at in db.all("select symbol, max(at) from perpetual_marks group by symbol")}
        known = self._place.get("marks", {})
        self._place["marks"] = newest
        late = [db.one("select min(at) from perpetual_marks where symbol = ? and at > ?", s, known.get(s, -1)) for s in newest]
        first = min((int(row[0]) for row in late if row is not None and row[0] is not None), default=begin)
        if first >= begin:
            return begin, iteration
        chosen = ", ".join("?" * len(self._symbols))
        [(before,)] = db.all(f"select count(distinct at) from bars where at < ? and symbol in ({chosen})", first, *self._symbols)
        return first, int(before) + 1

    def _state(self, session: SqliteFile, journal: SqliteFile | None) -> None:
        """Single documents that change as a whole."""
        if (row := session.one("select at, body from snapshot")) is not None:
            self._write([("state/snapshot", {"at": int(row[0]), "body": str(row[1])})], Urgency.LATER)
        if journal is not None:
            marks = {str(name): str(value) for name, value in journal.all("select name, value from marks") if name not in _NOT_MIRRORED}
            self._write([("state/journal", marks)])
        if (plan := self._folder / PLAN).is_file():
            self._write([("state/plan", {"body": plan.read_text(encoding="utf-8")})])
        decided = PromotionLog(self._folder).entries()
        self._write((f"promotions/{number:08d}", entry.model_dump(mode="json")) for number, entry in enumerate(decided, 1))

    def _write(self, documents: Documents, urgency: Urgency = Urgency.FIRST) -> None:
        made = [(self._named(name), body) for name, body in documents]
        if not self._anew:
            made = [(name, body) for name, body in made if self._as_written.get(name) != repr(body)]
        bodies = log.redacted([body for _, body in made], numbers=False)
        for (name, plain), body in zip(made, bodies, strict=True):
            self.written += self._store.set(name, body, urgency)
            self._keep(name, repr(plain))
        if self._anew:
            self.seen.update(name for name, _ in made)

    def _keep(self, name: str, text: str) -> None:
        """Most of what may yet change does not: it is struck out and compared with the state store once, not at every step."""
        self._as_written.pop(name, None)
        self._as_written[name] = text
        if len(self._as_written) > _REMEMBERED:
            del self._as_written[next(iter(self._as_written))]

    def _named(self, name: str) -> str:
        return f"sessions/{self._folder.name}/{name}"


def _version(path: Path) -> int:
    """The version of a journal of this or an earlier version; 0 where there is none."""
    if not path.is_file():
        return 0
    with suppress(Error), closing(connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("pragma user_version").fetchone()[0])
    return 0


def _with_origin(documents: list[tuple[str, Body]], journal: SqliteFile, session: SqliteFile) -> Iterator[tuple[str, Body]]:
    """Executions, each with the one that stood for it, and with whether its fill is recorded."""
    recorded = set(session.all("select symbol, trade_id from told"))
    origin = {(symbol, trade_id): text for symbol, trade_id, text in journal.all("select symbol, trade_id, stand_in from replacements")}
    for name, body in documents:
        key = (body["symbol"], body["trade_id"])
        yield name, {**body, "recorded": key in recorded, **({"stand_in": origin[key]} if key in origin else {})}


def _executed(session: SqliteFile, journal: SqliteFile | None) -> Sequence[tuple[Any, ...]]:
    columns = "symbol, side, size, price, fee, fee_currency"
    if journal is not None:
        return journal.all(f"select {columns} from executions order by at, length(trade_id), trade_id")
    return session.all(f"select {columns} from fills order by id")
