"""One SQLite file in write-ahead mode, shared by threads, whose errors are raised as our own."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import private_file
from forwardtrader.core.errors import StorageFull, StoreDamaged

_PATIENCE_S: Final = 10.0
_CHUNK: Final = 4096
_KINDS: Final = {"f": np.float64, "i": np.int64, "s": np.object_}
Row = tuple[Any, ...]


class SqliteFile:
    """A database, readable for its user only, that survives the death of its process with all that was committed.

    A power cut may take the newest commits with it, never the order among them, unless they were made in `forced()`.

    Args:
        schema: statements that create what is missing.
        version: of the schema; a file of a newer one is refused, and so is one of an older one that `upgrades` does not lead on.
        upgrades: by version, the statements that make the next one of it.
        reads: only read what another process writes; nothing is created, and the writer never waits.
        checkpoint_pages: how long the write-ahead log may become before the commit that finds it so moves it into the file, and waits for
            the disk; whoever calls `checkpoint` often enough, in another thread, spares commits that.

    Raises:
        StoreDamaged: the file is no database, or one of another version. So do all methods.
        StorageFull: the disk takes no more, or the folder cannot be written. So do all methods.
    """

    def __init__(
        self, path: Path, schema: str, *, version: int = 1, upgrades: Mapping[int, str] = MappingProxyType({}), reads: bool = False,
        checkpoint_pages: int = 1000,
    ) -> None:  # fmt: skip
        self.path = path
        self._checkpoint_pages = checkpoint_pages
        self._lock = threading.RLock()
        with _translated(path):
            if not reads and str(path) != ":memory:":
                path.parent.mkdir(parents=True, exist_ok=True)
                private_file(path)  # what the database keeps beside it has the same rights
            self._db = self._connection("ro") if reads else self._writer()
            try:
                self._require(version, {} if reads else upgrades)
                if not reads:
                    self._make(schema, version, upgrades)
            except BaseException:
                self._db.close()
                raise

    def _version(self) -> int:
        """The version of the file; 0 for one that is new."""
        found = int(self._db.execute("pragma user_version").fetchone()[0])
        is_new = self._db.execute("select count(*) from sqlite_master").fetchone()[0] == 0
        return found or (0 if is_new else 1)  # the first version wrote its number last, and may have died before

    def _require(self, version: int, upgrades: Mapping[int, str]) -> None:
        found = self._version()
        if found > version:
            raise StoreDamaged(
                f"{self.path} was written by a newer version of this program ({found}, this one reads {version}); "
                f"start it with that version, or choose another name"
            )
        if found and any(number not in upgrades for number in range(found, version)):
            raise StoreDamaged(f"{self.path} was written by another version ({found}); move it away, or choose another name")

    def _make(self, schema: str, version: int, upgrades: Mapping[int, str]) -> None:
        """Bring an older file up to `version`, or create what is missing; all of it or nothing."""
        if self._version() == version:
            self._db.executescript(schema)
            return
        with self.transaction():
            found = self._version()  # another process may have done it meanwhile
            steps = [upgrades[number] for number in range(found, version)] if found else []
            for statement in _statements("\n".join([*steps, schema])):
                self._db.execute(statement)
            self._db.execute(f"pragma user_version = {version}")

    def _writer(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE_S)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute(f"pragma wal_autocheckpoint = {self._checkpoint_pages}")
        return db

    def _connection(self, mode: str) -> sqlite3.Connection:
        """Another one to a file that is there."""
        address = f"{self.path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=_PATIENCE_S)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def checkpoint(self) -> None:
        """Move what was committed into the file itself, and wait for the disk; no commit waits for that."""
        with _translated(self.path), closing(self._connection("rw")) as db:
            db.execute("pragma wal_checkpoint(passive)")

    def run(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Execute one statement, committed by itself unless within `transaction`."""
        with self._lock, _translated(self.path):
            return self._db.execute(sql, values)

    def run_many(self, sql: str, rows: list[Row]) -> None:
        with self._lock, _translated(self.path):
            self._db.executemany(sql, rows)

    def all(self, sql: str, *values: object) -> list[Row]:
        with self._lock, _translated(self.path):
            return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> Row | None:
        with self._lock, _translated(self.path):
            row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def columns(self, sql: str, kinds: str, *values: object) -> list[NDArray[Any]]:
        """The answer by columns, over a connection of its own: neither reader nor writer waits for the other.

        Args:
            kinds: one letter a column: f for float64 (null is NaN), i for int64, s for text.
        """
        with _translated(self.path), closing(self._connection("ro")) as db:
            cursor = db.execute(sql, values)
            try:
                parts = [_arrays(rows, kinds) for rows in iter(lambda: cursor.fetchmany(_CHUNK), [])]
            except (ValueError, TypeError, OverflowError) as error:
                raise StoreDamaged(f"{self.path} is damaged: {error}; move it away, the venue's records stand") from error
        return [np.concatenate(column) for column in zip(*(parts or [_arrays([], kinds)]), strict=True)]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block, or nothing of it."""
        with self._lock:
            self.run("begin immediate")
            try:
                yield
            except BaseException:
                self.run("rollback")
                raise
            self.run("commit")

    @contextmanager
    def forced(self) -> Iterator[None]:
        """A commit in the block is on the disk when it returns, and with it all earlier ones."""
        with self._lock:
            self.run("pragma synchronous = full")
            try:
                yield
            finally:
                self.run("pragma synchronous = normal")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _arrays(rows: list[Row], kinds: str) -> list[NDArray[Any]]:
    """Few rows at a time, so that a long table never lies in memory as objects of Python; texts repeat and are kept once."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in kinds]
    made: list[NDArray[Any]] = []
    for kind, column in zip(kinds, columns, strict=True):
        made.append(np.array([sys.intern(text) for text in column] if kind == "s" else column, dtype=_KINDS[kind]))
    return made


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise StorageFull(f"{path} cannot be written ({error}); free some disk, or make the folder writable") from error
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(f"{path} is damaged ({error}); move it away, the venue's records stand") from error
