"""The disk of the simulated machine: every write a step at which the process may die, and power cuts that take what was not forced.

SQLite in write-ahead mode keeps commits in order in one file, so a power cut leaves a prefix of them: whatever was forced, and by chance
some of what followed. A slot of the write-ahead log is forced, and is there, or torn, or not.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from forwardtrader.core.errors import StorageFull
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.write_ahead_log import WriteAheadLog
from forwardtrader.live.sqlite_file import SqliteFile
from tests.simulation.process_io import ProcessIo

_READS: Final = ("select", "pragma")
_ENDS: Final = (IntentState.REFUSED, IntentState.DONE)


class SimulatedDisk:
    """The files of one run, in a folder for each life of the process."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._folder, self._rng = folder, rng
        self.life = 0
        self.full_from = 0  # the number of the write from which on there is no room, until the process ends; 0 for never
        self._writes = 0
        self._forced = 0  # bytes of SQLite's log that survive a power cut

    @property
    def path(self) -> Path:
        return self._folder / str(self.life) / "journal.db"

    @property
    def _log(self) -> Path:
        return self.path.with_name("journal.db-wal")

    def next_life(self, *, power_cut: bool) -> None:
        """Take over what the last life left, or with a power cut what had reached the disk."""
        before, forced = self.path, self._forced
        self.life += 1
        self.path.parent.mkdir(parents=True)
        for suffix in (".db", ".db-wal", ".intents"):
            source = before.with_suffix(suffix)
            if source.exists():
                shutil.copyfile(source, self.path.with_suffix(suffix))
        if power_cut and self._log.exists():
            size = self._log.stat().st_size
            with self._log.open("r+b") as log:
                log.truncate(self._rng.randint(min(forced, size), size))
        self._forced = self.full_from = 0
        if before.parent.exists():
            shutil.rmtree(before.parent)

    @contextmanager
    def under(self, io: ProcessIo) -> Iterator[None]:
        """Every write of the journal is a step of `io`."""
        run, put, forced = SqliteFile.run, WriteAheadLog._write_page, SqliteFile.forced
        disk = self

        def run_step(file: SqliteFile, sql: str, *values: object) -> Any:
            if sql.startswith(_READS):
                return run(file, sql, *values)
            what = f"commit of {values[0]}" if values and values[0] in _ENDS else "commit"
            disk._write(io, what)
            done = run(file, sql, *values)
            io.step(f"after {what}")
            return done

        def put_step(log: WriteAheadLog, place: int) -> None:
            disk._write(io, "force")
            put(log, place)
            io.step("after force")

        @contextmanager
        def forced_step(file: SqliteFile) -> Iterator[None]:
            with forced(file):
                yield
            disk._forced = disk._log.stat().st_size

        with patch.object(SqliteFile, "run", run_step), patch.object(WriteAheadLog, "_write_page", put_step), \
             patch.object(SqliteFile, "forced", forced_step):  # fmt: skip
            yield

    def _write(self, io: ProcessIo, what: str) -> None:
        io.step(f"before {what}")
        self._writes += 1
        if self.full_from and self._writes >= self.full_from:
            raise StorageFull("the simulated disk is full")
