"""The state store: documents about sessions in one SQLite file, each with a flag while the mirror lacks it (transactional outbox).

A document that changes again before it was sent waits once, as it is now: the mirror gets states, and whatever must not be folded into one
state is a document of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Protocol

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.live.sqlite_file import SqliteFile

_VERSION: Final = 2
_CHECKPOINT_PAGES: Final = 25_000  # a hundred megabytes, where nobody sends
_SCHEMA: Final = """
create table if not exists documents (
    name text primary key, seq integer not null, body text not null, token integer not null default 0, urgency integer not null default 0,
    state integer not null default 0, since real not null default 0, trouble text not null default '',
    sent integer not null default 0) without rowid;
create index if not exists waiting on documents (urgency, seq) where state = 1;
create index if not exists dropped on documents (name) where state = 2;
create table if not exists newest (id integer primary key check (id = 1), seq integer not null);
insert or ignore into newest values (1, 0);
create table if not exists marks (name text primary key, value text not null) without rowid;
create table if not exists writes (day text primary key, count integer not null) without rowid;
create trigger if not exists added after insert on documents begin update newest set seq = max(seq, new.seq); end;
create trigger if not exists changed after update of seq on documents begin update newest set seq = max(seq, new.seq); end;
"""
_SET: Final = """
insert into documents (name, seq, body, token, urgency, state, since) values (?, (select seq + 1 from newest), ?, ?, ?, 1, ?)
on conflict do update set seq = excluded.seq, body = excluded.body, token = excluded.token, urgency = excluded.urgency, state = 1,
    trouble = '', since = case when state = 1 then since else excluded.since end
where body <> excluded.body
"""  # one statement each, as every one waits for the other threads of this process
_MIRRORED: Final = """
update documents set sent = 1, state = case when documents.seq = given.seq then 0 else state end
from (select json_extract(value, '$[0]') name, json_extract(value, '$[1]') seq from json_each(?)) given where documents.name = given.name
"""
_UPGRADES: Final = {
    1: """
alter table documents add column token integer not null default 0;
alter table documents add column urgency integer not null default 0;
alter table documents add column state integer not null default 0;
alter table documents add column since real not null default 0;
alter table documents add column trouble text not null default '';
alter table documents add column sent integer not null default 1;
update documents set state = 1 where name in (select name from outbox);
create table newest (id integer primary key check (id = 1), seq integer not null);
insert into newest select 1, max(coalesce((select max(seq) from documents), 0), coalesce((select max(seq) from outbox), 0));
drop table outbox;
"""
}
_RULES: Final = ("seq", "token")  # fields that say how new a document of the mirror is
_SENT: Final = 0
_WAITS: Final = 1
_DROPPED: Final = 2
Body = dict[str, Any]  # plain JSON values


class Urgency(IntEnum):
    """What is sent first, and what may use up the writes of a day."""

    FIRST = 0
    LATER = 1


@dataclass(frozen=True)
class Event:
    """One state of one document.

    Attributes:
        name: its path, e.g. `sessions/paper/fills/00000007`.
        seq: grows with every change on this machine.
        token: of the lease under which it was written (fencing token), which grows from machine to machine: an event is newer than
            another if its token is higher or, with the same token, its `seq`.
        is_new: the mirror was never given this document, as far as this machine knows.
    """

    seq: int
    name: str
    body: Body
    token: int = 0
    is_new: bool = False


@dataclass(frozen=True)
class Lag:
    """How many documents the mirror lacks, since when the oldest one waits (epoch seconds; None: none waits), and how many it refused."""

    waiting: int
    since: float | None
    dropped: int


class Mirror(Protocol):
    """Where events are copied to. `FirestoreMirror` is a service, `MemoryMirror` a dictionary."""

    def put(self, events: list[Event]) -> None:
        """Write all events, or raise. Idempotent: a repeated event changes nothing, an older one never replaces a newer one.

        Raises:
            VenueRefused: the service takes one of them, or all, never.
        """
        ...


def age_of(body: Body) -> tuple[int, int]:
    """Token and sequence number of a document of the mirror; one of an earlier version has no token."""
    return int(body.get("token", 0)), int(body.get("seq", -1))


def plain(body: Body) -> Body:
    """A document of the mirror without what it carries beside its facts."""
    return {name: value for name, value in body.items() if name not in _RULES}


class MemoryMirror:
    """Keeps documents in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, Event] = {}

    def put(self, events: list[Event]) -> None:
        for event in events:
            held = self.documents.get(event.name)
            if held is None or (held.token, held.seq) < (event.token, event.seq):
                self.documents[event.name] = event


class StateStore:
    """Documents by name; that one has changed and waits for the mirror is written with it.

    Attributes:
        token: of the lease in force, given to every change.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self.token = 0
        self._clock = clock or SystemClock()
        self._db = SqliteFile(path, _SCHEMA, version=_VERSION, upgrades=_UPGRADES, checkpoint_pages=_CHECKPOINT_PAGES)

    def close(self) -> None:
        self._db.close()

    def set(self, name: str, body: Body, urgency: Urgency = Urgency.FIRST) -> bool:
        """Write a whole document; False, and nothing is sent, where it is as it was."""
        made = self._db.run(_SET, name, _text(body), self.token, urgency, self._clock.now().timestamp())
        return made.rowcount > 0

    def get(self, name: str) -> Body | None:
        row = self._db.one("select body from documents where name = ?", name)
        return None if row is None else json.loads(row[0])

    def names(self, prefix: str = "") -> list[str]:
        return [row[0] for row in self._db.all("select name from documents where name glob ? order by name", f"{prefix}*")]

    def newest(self, folder: str) -> str | None:
        """The last name among the documents of a folder (`sessions/paper/fills/`), without the folder."""
        [[name]] = self._db.all("select max(name) from documents where name >= ? and name < ?", folder, _after(folder))
        return None if name is None else str(name)[len(folder) :]

    def documents(self, session: str) -> dict[str, Body]:
        """Everything below `sessions/NAME/`, and that document itself, by name."""
        folder = f"sessions/{session}/"
        sql = "select name, body from documents where name = ? or (name >= ? and name < ?)"
        return {str(name): json.loads(body) for name, body in self._db.all(sql, folder[:-1], folder, _after(folder))}

    def remove(self, names: Iterable[str]) -> None:
        """Remove documents that are made of nothing any more."""
        self._db.run_many("delete from documents where name = ?", [(name,) for name in names])

    def forget(self, session: str) -> None:
        """Remove everything of a session that begins anew."""
        folder = f"sessions/{session}/"
        self._db.run("delete from documents where name = ? or (name >= ? and name < ?)", folder[:-1], folder, _after(folder))

    def adopt(self, documents: Mapping[str, Body]) -> None:
        """Keep documents that the mirror has as they are, such as those that another machine wrote."""
        with self._db.transaction():
            seq = self._next()
            rows = [(name, seq, _text(body), self.token) for name, body in documents.items()]
            self._db.run_many("insert or replace into documents (name, seq, body, token, sent) values (?, ?, ?, ?, 1)", rows)

    # The outbox

    def waiting(self, most: int, urgency: Urgency = Urgency.LATER) -> list[Event]:
        """The oldest changes that the mirror does not have yet, the most urgent first; none less urgent than the one given."""
        sql = "select seq, name, body, token, not sent from documents where state = 1 and urgency <= ? order by urgency, seq limit ?"
        rows = self._db.all(sql, urgency, most)
        return [Event(seq, name, json.loads(body), token, bool(is_new)) for seq, name, body, token, is_new in rows]

    def mirrored(self, events: Iterable[Event]) -> None:
        """The mirror has these; a document that changed meanwhile waits on."""
        self._db.run(_MIRRORED, json.dumps([(event.name, event.seq) for event in events]))

    def drop(self, event: Event, reason: str) -> None:
        """The mirror never takes this one: it waits no more until it changes."""
        sql = f"update documents set state = {_DROPPED}, trouble = ? where name = ? and seq = ?"
        self._db.run(sql, reason, event.name, event.seq)

    def lag(self) -> Lag:
        """What the mirror lacks."""
        [(waiting, since)] = self._db.all("select count(*), min(since) from documents where state = 1")
        [(dropped,)] = self._db.all("select count(*) from documents where state = 2")
        return Lag(int(waiting), since, int(dropped))

    def requeue(self, names: Iterable[str]) -> None:
        """Send documents again, under the lease in force: those that the mirror lost or holds otherwise."""
        sql = f"update documents set seq = ?, token = ?, state = {_WAITS}, sent = 1, since = ?, trouble = '' where name = ?"
        now = self._clock.now().timestamp()
        with self._db.transaction():
            for name in names:
                self._db.run(sql, self._next(), self.token, now, name)

    def overtake(self, token: int, seq: int) -> None:
        """What changes from now on is newer than a document of that token and sequence number."""
        self.token = max(self.token, token)
        self._db.run("update newest set seq = max(seq, ?)", seq)

    def checkpoint(self) -> None:
        """Bring what was written to the disk, in a thread that may wait for it: every change outlives its process, and from here on also a
        loss of power."""
        self._db.checkpoint()

    # Counts and marks

    def spend(self, day: str, writes: int) -> None:
        """Count writes of a day."""
        sql = "insert into writes values (?, ?) on conflict do update set count = count + excluded.count"
        self._db.run(sql, day, writes)

    def spent(self, day: str) -> int:
        """How many writes were counted on a day."""
        row = self._db.one("select count from writes where day = ?", day)
        return 0 if row is None else int(row[0])

    def remember(self, name: str, value: object) -> None:
        """Keep a plain JSON value under a name."""
        self._db.run("insert into marks values (?, ?) on conflict do update set value = excluded.value", name, json.dumps(value))

    def recall(self, name: str, otherwise: Any = None) -> Any:
        row = self._db.one("select value from marks where name = ?", name)
        return json.loads(row[0]) if row else otherwise

    def _next(self) -> int:
        """A sequence number that no change had before; in a transaction."""
        self._db.run("update newest set seq = seq + 1")
        [(seq,)] = self._db.all("select seq from newest")
        return int(seq)


def _text(body: Body) -> str:
    """A body as it is kept and compared; the mirror gives names back in an order of its own."""
    return json.dumps(body, default=str, sort_keys=True)


def _after(folder: str) -> str:
    """The first name beyond a folder."""
    return folder[:-1] + chr(ord(folder[-1]) + 1)
