"""A write job: tables, status and page of a session's folder, from the session's file and the rows that its recorders still hold.

A job is self-contained JSON, so that a child process can run it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd
from filelock import FileLock, Timeout

from forwardtrader.core import atomic, log
from forwardtrader.core.errors import AccountLocked
from forwardtrader.live import control
from forwardtrader.live.output.files import WRITTEN, render_page, write_tables
from forwardtrader.live.output.model_outcomes import with_learning
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Marks, Rows, joined, tables_of
from forwardtrader.reports.pages.session_status import SessionStatus, write_status

_LOCK: Final = "output.lock"


@dataclass(frozen=True)
class WriteJob:
    """What is to be written, and where.

    Attributes:
        folder: of the session, absolute.
        owner: process id of the session.
        since: open time of the first live bar.
        marks: up to where fills, orders and equity are read from the session's file.
        fresh: rows that the recorders held beyond the marks.
        status: complete but for models and outcomes, which are read from the session's folder.
    """

    folder: Path
    owner: int
    symbols: tuple[str, ...]
    since: datetime
    marks: Marks
    fresh: Rows
    status: SessionStatus

    def run(self, patience_s: float = 60.0) -> None:
        """Write everything; a page that cannot be drawn is logged and stops nothing.

        Args:
            patience_s: how long to wait for another job in the same folder.

        Raises:
            AccountLocked: another process runs the session by now, or a job in its folder does not end.
            StorageFull: the disk takes no more.
            StoreDamaged: the session's file cannot be read.
        """
        with self._alone(patience_s), closing(SessionStore(self.folder / "session.db", reads=True)) as store:
            forecasts, own = store.forecasts(), {symbol: store.bars(symbol) for symbol in self.symbols}
            tables = joined(store.tables(self.symbols, self.marks), tables_of(self.fresh), pd.Timestamp(self.since))
            write_tables(self.folder, tables, forecasts, own)
            write_status(self.folder, with_learning(self.status, self.folder, forecasts, own, tables.fills))
            render_page(self.folder)

    @contextmanager
    def _alone(self, patience_s: float) -> Iterator[None]:
        """Hold the folder's output lock; a child that an earlier process left behind never overwrites the files of the next one."""
        try:
            with FileLock(self.folder / _LOCK, mode=0o600).acquire(timeout=patience_s):
                if control.holder(control.lock_of(self.folder)) != self.owner:
                    raise AccountLocked(f"{self.folder} belongs to another process by now; it writes the files itself")
                for name in WRITTEN:
                    atomic.sweep(self.folder / name)
                yield
        except Timeout as error:
            raise AccountLocked(f"the files of {self.folder} are being written by another process, and it does not end") from error

    def as_line(self) -> str:
        """JSON without a line break; `from_line` is its opposite."""
        fields = {
            "folder": str(self.folder), "owner": self.owner, "symbols": self.symbols, "since": self.since.isoformat(),
            "marks": asdict(self.marks), "fresh": asdict(self.fresh),
            # Here, where the secrets are known: the process that writes gets none.
            "status": log.redacted(self.status.model_dump(mode="json", by_alias=True), numbers=False),
        }  # fmt: skip
        return json.dumps(fields, default=float)  # numbers of numpy, which a user's strategy may have handed to an order

    @classmethod
    def from_line(cls, line: str | bytes) -> WriteJob:
        fields = json.loads(line)
        rows = {name: [tuple(row) for row in fields["fresh"][name]] for name in ("fills", "orders", "equity", "stops")}
        return cls(
            folder=Path(fields["folder"]), owner=fields["owner"], symbols=tuple(fields["symbols"]),
            since=datetime.fromisoformat(fields["since"]), marks=Marks(**fields["marks"]),
            fresh=Rows(tuple(fields["fresh"]["symbols"]), **rows), status=SessionStatus.model_validate(fields["status"]),
        )  # fmt: skip
