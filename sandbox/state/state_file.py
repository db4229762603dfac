"""Where the state is kept: rows by kind and key, written all or none."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from forwardtrader.core.errors import InvalidSetting, StorageFull, StoreDamaged

Row: TypeAlias = tuple[str, str, bytes]  # kind, key, JSON
Rows: TypeAlias = dict[str, dict[str, bytes]]
VERSION: Final = 1
_TURNOVER_S: Final = 5.0  # that a predecessor is given to end
_FULL: Final = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN", "SQLITE_PERM")


class StateFile(Protocol):
    """Keeps rows. What `write` was given survives the death of the process once it has returned, and is never there in part."""

    def read(self) -> Rows:
        """Every row by kind and key; empty at the first start."""

    def write(self, rows: Iterable[Row]) -> None:
        """Insert or replace rows."""

    def close(self) -> None: ...


class MemoryState:
    """The state of an exchange that is restarted within one process, as by a simulation."""

    def __init__(self) -> None:
        self._rows: Rows = {}

    def read(self) -> Rows:
        return {kind: dict(rows) for kind, rows in self._rows.items()}

    def write(self, rows: Iterable[Row]) -> None:
        for kind, key, body in list(rows):
            self._rows.setdefault(kind, {})[key] = body

    def close(self) -> None:
        """Nothing is open."""


class SqliteState:
    """A folder of one exchange: an SQLite file in write-ahead mode, readable by its owner only because it holds the keys.

    It survives the death of the process. A power cut may take the newest writes with it, never a part of one.

    Raises:
        InvalidSetting: the folder cannot be used, or another exchange uses it.
        StoreDamaged: the file is no state, or one of a newer version. So does `read`.
        StorageFull: the disk takes no more. So does `write`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "exchange.db"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise InvalidSetting(f"state folder {folder} cannot be used: {error.strerror}; give another with --state") from error
        try:
            _wait_for(self._lock, folder)
            with self._translated():
                self._db = self._opened()
        except BaseException:
            os.close(self._lock)
            raise

    def read(self) -> Rows:
        found: Rows = {}
        with self._translated():
            for kind, key, body in self._db.execute("select kind, key, body from row"):
                if not (isinstance(kind, str) and isinstance(key, str) and isinstance(body, bytes)):
                    raise self._damaged()
                found.setdefault(kind, {})[key] = body
        return found

    def write(self, rows: Iterable[Row]) -> None:
        with self._translated():
            self._db.execute("begin immediate")
            try:
                self._db.executemany("insert or replace into row values (?, ?, ?)", rows)
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()

    def close(self) -> None:
        self._db.close()
        os.close(self._lock)

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("pragma locking_mode = exclusive")  # the folder is locked anyway, and a commit costs half
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = off")
            [(version,)] = db.execute("pragma user_version")
            if version not in (0, VERSION):
                raise StoreDamaged(f"{self.path} is of version {version}, this program knows {VERSION}; use that one, or change --state")
            db.execute("create table if not exists row (kind text, key text, body blob, primary key (kind, key)) without rowid")
            db.execute(f"pragma user_version = {VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorname", "") in _FULL or isinstance(error, OSError):
                raise StorageFull(f"{self.path} cannot be written: {error}; free some room and start the exchange again") from error
            raise self._damaged() from error

    def _damaged(self) -> StoreDamaged:
        return StoreDamaged(f"{self.path} is damaged; move its folder away, and the exchange starts anew without its accounts")


def _wait_for(descriptor: int, folder: Path) -> None:
    """Lock the folder, once a predecessor that is about to end has ended."""
    end = time.monotonic() + _TURNOVER_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise InvalidSetting(f"state folder {folder} is in use by another exchange; give another with --state") from error
            time.sleep(0.05)
