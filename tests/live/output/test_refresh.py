"""What a session writes beside itself: the same files as ever, by a process that may die, hang or be left behind and harms nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import tracemalloc
from pathlib import Path

import pandas as pd
import psutil
import pytest
from filelock import FileLock

from forwardtrader.core.log import log_to
from forwardtrader.live.output.files import CANDLES, EQUITY, FILLS, FORECASTS, ORDERS, PAGE
from forwardtrader.live.output.refresh import SessionOutput
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.output.writer import Writer
from forwardtrader.reports.pages.session_status import SessionStatus, read_status
from tests import PATIENCE_S
from tests.live.recorded_session import (
    SYMBOLS,
    RecordedSession,
    children_of,
    fill,
    log_of,
    recorded,
    wait_for,
)
from tests.processes import begin
from tests.sandbox.test_parent_process import wait_until_gone

TABLES = (FILLS, EQUITY, FORECASTS, ORDERS, CANDLES)


def test_each_writing_has_a_child_of_its_own_that_gives_way_and_holds_nothing(session: RecordedSession, writer: Writer) -> None:
    with FileLock(session.folder / "output.lock"):
        output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0)
        output.refresh()
        [child] = wait_for(lambda: children_of(writer.pid))
        assert child.nice() >= 10
        assert os.getpgid(child.pid) == os.getsid(child.pid) == writer.pid
        held = [str(path.readlink()) for path in Path(f"/proc/{child.pid}/fd").iterdir() if path.exists()]
        assert not [name for name in held if name.startswith("socket:") or name.endswith(("session.lock", ".db"))]
    wait_for(lambda: (session.folder / PAGE).is_file())
    wait_for(lambda: not children_of(writer.pid))
    output.finish()


def test_a_child_that_dies_is_told_of_and_the_next_writing_is_done(session: RecordedSession, writer: Writer, tmp_path: Path) -> None:
    output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0, least_s=0.0)
    with log_to(tmp_path / "log.jsonl"):
        with FileLock(session.folder / "output.lock"):
            output.refresh()
            pid = writer.pid
            [child] = wait_for(lambda: children_of(writer.pid))
            child.send_signal(signal.SIGKILL)
            wait_for(lambda: "output_not_written" in (tmp_path / "log.jsonl").read_text())
        assert not (session.folder / PAGE).exists()
        wait_for(lambda: output.refresh() or (session.folder / PAGE).is_file())
        wait_for(lambda: not output.is_busy)
    assert writer.pid == pid or pid is None, "its own process stands"
    [trouble] = [entry for entry in log_of(tmp_path) if entry["event"] == "output_not_written"]
    assert "ended with -9" in trouble["reason"]


def test_a_writing_that_takes_long_does_not_keep_the_mirror_waiting(session: RecordedSession, writer: Writer) -> None:
    mirror = _Counting()
    output = SessionOutput(session.job, session.store, mirror, writer=writer, first_s=0.0, least_s=0.0)
    with FileLock(session.folder / "output.lock"):
        wait_for(lambda: output.refresh() or mirror.copies > 2)
        assert output.is_busy and not (session.folder / PAGE).exists()
    output.finish()
    assert mirror.heard == 1


class _Facts:
    """Notes what was written already when it was asked, and fails."""

    def __init__(self, folder: Path) -> None:
        self.page, self.asked = folder / PAGE, list[tuple[bool, bool]]()

    def keep(self, *, last: bool = False) -> None:
        self.asked.append((last, self.page.exists()))
        raise OSError("no room")


def test_what_a_replay_needs_is_kept_before_anything_is_written_and_its_trouble_stops_nothing(
    session: RecordedSession, writer: Writer
) -> None:
    facts = _Facts(session.folder)
    output = SessionOutput(session.job, session.store, _Deaf(), facts=facts, writer=writer, first_s=0.0)
    output.refresh()
    wait_for(lambda: facts.page.is_file() and not output.is_busy)
    output.finish()
    assert facts.asked == [(False, False), (True, True)]


def test_a_writing_that_hangs_is_ended(session: RecordedSession, tmp_path: Path) -> None:
    with contextlib.closing(Writer()) as writer:
        output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0, least_s=0.0, longest_s=4.0)
        with log_to(tmp_path / "log.jsonl"), FileLock(session.folder / "output.lock"):
            output.refresh()
            first = wait_for(lambda: writer.pid)
            wait_for(lambda: output.refresh() or "output_not_written" in (tmp_path / "log.jsonl").read_text())
        wait_until_gone(first)
        troubles = [entry for entry in log_of(tmp_path) if entry["event"] == "output_not_written"]
        assert [entry["seconds"] >= 4.0 for entry in troubles] == [True]
        writer.write(session.writing())
    assert (session.folder / PAGE).is_file()


def test_a_writing_that_the_end_of_the_session_overtakes_is_no_trouble(session: RecordedSession, writer: Writer, tmp_path: Path) -> None:
    output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0)
    with log_to(tmp_path / "log.jsonl"):
        with FileLock(session.folder / "output.lock"):
            output.refresh()
            wait_for(lambda: children_of(writer.pid))
            ends = threading.Thread(target=output.finish)
            ends.start()
            wait_for(lambda: not children_of(writer.pid))
        ends.join(PATIENCE_S)
    assert (session.folder / PAGE).is_file()
    assert not (tmp_path / "log.jsonl").exists() or "output_not_written" not in (tmp_path / "log.jsonl").read_text()


def test_ctrl_c_in_a_terminal_ends_a_session_and_all_beside_it_without_a_word(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.live.session_runner", str(tmp_path), "one", "0"]
    process = begin(words, start_new_session=True)
    wait_for(lambda: process.poll() is not None or (tmp_path / "one" / PAGE).is_file())
    beside = children_of(process.pid)
    assert "forwardtrader.live.output.writer_process" in str([child.cmdline() for child in psutil.Process(process.pid).children()])
    os.killpg(process.pid, signal.SIGINT)
    said, trouble = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said, trouble) == (130, "", "")
    for child in beside:
        wait_until_gone(child.pid)
    status, equity = read_status(tmp_path / "one"), pd.read_parquet(tmp_path / "one" / EQUITY)
    assert (status.state, status.reason) == ("stopped", "stopped by SIGINT")
    assert equity.index[-1] == status.last_bar


@pytest.mark.slow
def test_the_memory_of_a_session_does_not_grow_with_what_it_writes(tmp_path: Path, writer: Writer) -> None:
    """What the session's own process allocates for a writing is counted, so neither speed nor the system's allocator has a say."""

    def peak_of_one_writing(bars: int) -> int:
        with recorded(tmp_path / str(bars), bars, SYMBOLS[:1]) as session:
            output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0, least_s=0.0)
            write_once(output, session)  # what is made only once is made now
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(3):
                write_once(output, session)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return peak - before

    def write_once(output: SessionOutput, session: RecordedSession) -> None:
        (session.folder / PAGE).unlink(missing_ok=True)
        output._next = 0.0
        output.refresh()
        wait_for(lambda: not output.is_busy)
        assert (session.folder / PAGE).is_file()

    short, long = peak_of_one_writing(500), peak_of_one_writing(10_000)  # eight bytes of each bar would be 76,000
    assert long < short + 50_000, (short, long)
    assert long < 500_000, (short, long)


class _Deaf:
    """Hears nothing."""

    def write(self, status: SessionStatus, *, last: bool = False) -> None:
        pass


class _Counting(_Deaf):
    """Counts what it hears while the session runs, and at the end."""

    heard, copies = 0, 0

    def write(self, status: SessionStatus, *, last: bool = False) -> None:
        self.heard += last
        self.copies += not last


def test_a_session_tells_its_mirror_everything_at_its_end(tmp_path: Path, writer: Writer) -> None:
    mirror = _Counting()
    with recorded(tmp_path / "one", 2_500, fresh=Rows(SYMBOLS, [fill(2_500)], [], [])) as session:
        SessionOutput(session.job, session.store, mirror, writer=writer).finish()
    assert mirror.heard == 1
    assert len(pd.read_parquet(session.folder / FILLS)) == 251
