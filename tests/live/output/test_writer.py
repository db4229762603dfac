"""The writer process: the same files as the session itself would write; it may die, and ends with its session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

from forwardtrader.live.output.files import CANDLES, EQUITY, FILLS, FORECASTS, ORDERS, PAGE
from forwardtrader.live.output.writer import NotWritten, Writer
from forwardtrader.reports.pages.session_status import read_status
from tests import ROOT
from tests.live.recorded_session import (
    BARS,
    SYMBOLS,
    RecordedSession,
    children_of,
    log_of,
    rows,
    wait_for,
)
from tests.sandbox.test_parent_process import wait_until_gone

TABLES = (FILLS, EQUITY, FORECASTS, ORDERS, CANDLES)


def written(folder: Path) -> dict[str, Any]:
    return {name: pd.read_parquet(folder / name) for name in TABLES}


def test_what_the_process_beside_writes_is_what_the_session_itself_would(session: RecordedSession, writer: Writer) -> None:
    writing = session.writing(rows(range(BARS, BARS + 3), SYMBOLS, fills=1))
    writer.write(writing)
    beside, page, status = written(session.folder), (session.folder / PAGE).read_text(), read_status(session.folder)
    for name in (*TABLES, PAGE, "session.json"):
        (session.folder / name).unlink()
    writing.run()
    for name, table in written(session.folder).items():
        pd.testing.assert_frame_equal(beside[name], table, check_exact=True)
    assert (page, status) == ((session.folder / PAGE).read_text(), read_status(session.folder))
    assert [len(beside[name]) for name in (FILLS, EQUITY, ORDERS, FORECASTS)] == [12 + 3, BARS + 3, 12 + 3, 2 * BARS]
    assert beside[FILLS]["order_ref"].iloc[-1] == str(BARS + 2)
    assert [(one.model_id, one.trades) for one in status.outcomes] == [("momentum", 5)]


def test_a_process_that_dies_is_started_again(session: RecordedSession, writer: Writer) -> None:
    writer.write(session.writing())
    (session.folder / PAGE).unlink()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    with pytest.raises(NotWritten, match="ended with -9"):
        writer.write(session.writing())
    writer.write(session.writing())
    assert (session.folder / PAGE).is_file()


def test_a_table_that_cannot_be_written_is_told_of_with_its_reason(session: RecordedSession, writer: Writer) -> None:
    (session.folder / EQUITY).mkdir()
    with pytest.raises(NotWritten, match="IsADirectoryError"):
        writer.write(session.writing())
    (session.folder / EQUITY).rmdir()
    writer.write(session.writing())
    assert len(pd.read_parquet(session.folder / EQUITY)) == BARS


def test_a_page_that_cannot_be_drawn_is_in_the_sessions_log_and_the_tables_stand(session: RecordedSession, writer: Writer) -> None:
    (session.folder / PAGE).mkdir()
    writer.write(session.writing())
    assert [(entry["event"], "IsADirectoryError" in entry["traceback"]) for entry in log_of(session.folder)] == [("page not written", True)]
    assert read_status(session.folder).name == "one"


def test_where_nothing_can_be_forked_the_process_is_replaced_after_each_writing(session: RecordedSession) -> None:
    writer, seen = Writer(forks=False), []
    for _ in range(2):
        writer.write(session.writing())
        (session.folder / PAGE).unlink()
        seen.append(writer.pid)
    assert seen == [None, None]


def test_a_writer_that_was_closed_starts_no_process_for_a_thread_that_comes_late(session: RecordedSession) -> None:
    writer = Writer()
    writer.close()
    with pytest.raises(NotWritten, match="closed"):
        writer.write(session.writing())
    assert writer.pid is None


def test_the_process_beside_ends_with_the_one_that_started_it(session: RecordedSession) -> None:
    code = (
        "import sys, time; from forwardtrader.live.output.job import WriteJob; from forwardtrader.live.output.writer import Writer\n"
        "writer = Writer(); line = sys.stdin.readline()\n"
        "import threading; threading.Thread(target=lambda: writer.write(WriteJob.from_line(line)), daemon=True).start()\n"
        "while writer.pid is None: time.sleep(0.01)\n"
        "print(writer.pid, flush=True); time.sleep(600)"
    )
    with (
        FileLock(session.folder / "output.lock"),
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(session.writing().as_line() + "\n")
        process.stdin.flush()
        beside = int(process.stdout.readline())
        [child] = wait_for(lambda: children_of(beside))
        process.kill()
        wait_until_gone(beside)
        wait_until_gone(child.pid)
    assert not (session.folder / PAGE).exists()
