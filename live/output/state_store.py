"""The state store: documents about sessions in one SQLite file, and the outbox of changes that the mirror lacks (transactional outbox)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from forwardtrader.live.sqlite_file import SqliteFile

_SCHEMA: Final = """
create table if not exists documents (name text primary key, seq integer not null, body text not null) without rowid;
create table if not exists outbox (seq integer primary key autoincrement, name text not null, body text not null);
"""
Body = dict[str, Any]  # plain JSON values
_MOST_WAITING: Final = 100_000


@dataclass(frozen=True)
class Event:
    """One change of one document: `name` is its path, e.g. `sessions/paper/fills/7`; a later `seq` replaces an earlier one."""

    seq: int
    name: str
    body: Body


class Mirror(Protocol):
    """Where events are copied to. `FirestoreMirror` is a service, `MemoryMirror` a dictionary."""

    def put(self, events: list[Event]) -> None:
        """Write all events, or raise. Idempotent: a repeated event changes nothing, an older one never replaces a newer one."""
        ...


class MemoryMirror:
    """Keeps documents in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, Event] = {}

    def put(self, events: list[Event]) -> None:
        for event in events:
            held = self.documents.get(event.name)
            if held is None or held.seq < event.seq:
                self.documents[event.name] = event


class StateStore:
    """Documents by name; each change is written and queued for the mirror in one transaction."""

    def __init__(self, path: Path) -> None:
        self._db = SqliteFile(path, _SCHEMA)

    def close(self) -> None:
        self._db.close()

    def set(self, name: str, body: Body) -> None:
        """Write a whole document. Where too many events wait for the mirror, the oldest are dropped."""
        text = json.dumps(body, default=str)
        with self._db.transaction():
            seq = self._db.run("insert into outbox (name, body) values (?, ?)", name, text).lastrowid
            sql = "insert into documents values (?, ?, ?) on conflict do update set seq = excluded.seq, body = excluded.body"
            self._db.run(sql, name, seq, text)
            self._db.run("delete from outbox where seq <= ?", (seq or 0) - _MOST_WAITING)

    def get(self, name: str) -> Body | None:
        rows = self._db.all("select body from documents where name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def names(self, prefix: str = "") -> list[str]:
        return [row[0] for row in self._db.all("select name from documents where name glob ? order by name", f"{prefix}*")]

    def newest(self, folder: str) -> str | None:
        """The last name among the documents of a folder (`sessions/paper/fills/`), without the folder."""
        after = folder[:-1] + chr(ord(folder[-1]) + 1)
        [[name]] = self._db.all("select max(name) from documents where name >= ? and name < ?", folder, after)
        return None if name is None else str(name)[len(folder) :]

    def waiting(self, most: int) -> list[Event]:
        """The oldest events that the mirror does not have yet."""
        rows = self._db.all("select seq, name, body from outbox order by seq limit ?", most)
        return [Event(seq, name, json.loads(body)) for seq, name, body in rows]

    def mirrored(self, events: list[Event]) -> None:
        """Remove events that the mirror has."""
        self._db.run_many("delete from outbox where seq = ?", [(event.seq,) for event in events])

    def lag(self) -> int:
        """How many events the mirror lacks."""
        return int(self._db.all("select count(*) from outbox")[0][0])

    def requeue_all(self) -> None:
        """Queue every document again, for a mirror that was lost."""
        with self._db.transaction():
            self._db.run("delete from outbox")
            self._db.run("insert into outbox (name, body) select name, body from documents order by seq")
            self._db.run("update documents set seq = (select max(o.seq) from outbox o where o.name = documents.name)")
