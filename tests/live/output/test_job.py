"""Write jobs: self-contained, one at a time in a folder, and never from a process that a newer one has replaced."""

from __future__ import annotations

import os

import numpy as np
import pytest
from filelock import FileLock

from forwardtrader.core.errors import AccountLocked
from forwardtrader.live.output.files import CANDLES, EQUITY, FILLS, FORECASTS, ORDERS, PAGE
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.output.writer import NotWritten, Writer
from tests.live.recorded_session import (
    BARS,
    SYMBOLS,
    RecordedSession,
    fill,
    rows,
)

TABLES = (FILLS, EQUITY, FORECASTS, ORDERS, CANDLES)


def test_what_is_handed_over_arrives_as_it_was(session: RecordedSession) -> None:
    fresh = rows(range(BARS, BARS + 2), SYMBOLS, fills=1)
    writing = session.writing(fresh)
    assert WriteJob.from_line(writing.as_line()) == writing
    odd = Rows(SYMBOLS, [fill(1, size=np.int64(2), price=np.float64(0.1) + 0.2, fee=float("nan"))], [], [])
    line = session.writing(odd).as_line()
    assert "\n" not in line
    [arrived] = WriteJob.from_line(line).fresh.fills
    assert arrived[3:5] == (2.0, 0.1 + 0.2)
    assert np.isnan(arrived[5])


def test_a_child_of_a_session_that_is_gone_writes_over_nothing(session: RecordedSession, writer: Writer) -> None:
    writer.write(session.writing())
    before = {path: path.stat().st_mtime_ns for path in session.folder.iterdir() if path.name in (*TABLES, PAGE, "session.json")}
    late = session.writing(owner=os.getppid())
    with pytest.raises(AccountLocked, match="another process by now"):
        late.run()
    with pytest.raises(NotWritten, match="another process by now"):
        writer.write(late)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_two_never_write_a_folder_at_once(session: RecordedSession) -> None:
    with FileLock(session.folder / "output.lock"), pytest.raises(AccountLocked, match="does not end"):
        session.writing().run(patience_s=0.2)


def test_what_a_killed_child_left_half_written_is_removed(session: RecordedSession, writer: Writer) -> None:
    (session.folder / f".{FILLS}.0123456789ab").write_bytes(b"PAR1")
    (session.folder / ".plan.json.0123456789ab").write_text("{", encoding="utf-8")  # of somebody else
    writer.write(session.writing())
    assert [path.name for path in session.folder.glob(".*")] == [".plan.json.0123456789ab"]
