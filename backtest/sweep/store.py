"""Store of finished sweep points, so that an interrupted sweep resumes: one SQLite file in the sweep's folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.sweep.point import PointResult
from forwardtrader.core.errors import StorageFull, StoreDamaged

FILE_NAME: Final = "points.sqlite"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (
    key TEXT PRIMARY KEY, summary TEXT NOT NULL, result TEXT NOT NULL, days BLOB NOT NULL, returns BLOB NOT NULL
);
"""


class SweepStore:
    """Points by fingerprint of everything that decides them, and a few facts about the sweep.

    Raises (from every method):
        StoreDamaged: the file cannot be used.
        StorageFull: the disk has no room.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def fact(self, name: str) -> str | None:
        """What was noted under `name`."""
        if not self.path.exists():
            return None
        with self._open() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, **facts: str) -> None:
        with self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def get(self, key: str) -> PointResult | None:
        with self._open() as connection:
            row = connection.execute("SELECT summary, result, days, returns FROM points WHERE key = ?", (key,)).fetchone()
        return None if row is None else _read(row)

    def put(self, key: str, point: PointResult) -> None:
        days = pd.DatetimeIndex(point.returns.index).as_unit("s").asi8
        row = (key, json.dumps(point.summary), point.result, days.tobytes(), point.returns.to_numpy(dtype=np.float64).tobytes())
        with self._open() as connection, connection:
            connection.execute("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)", row)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=30.0)) as connection:
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.Error as error:
            if "full" in str(error):
                raise StorageFull(f"no space left to write {self.path}; free some and run the command again") from error
            raise StoreDamaged(f"{self.path} cannot be used ({error}); remove its folder to begin the sweep anew") from error


def _read(row: tuple[Any, ...]) -> PointResult:
    summary, result, days, returns = row
    index = pd.DatetimeIndex(np.frombuffer(days, dtype=np.int64).astype("datetime64[s]")).tz_localize("UTC")
    return PointResult(json.loads(summary), str(result), pd.Series(np.frombuffer(returns, dtype=np.float64).copy(), index=index))
