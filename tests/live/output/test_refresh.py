"""What a session writes beside itself: the same files as ever, by a process that may die, hang or be left behind and harms nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from filelock import FileLock

from forwardtrader.core.errors import AccountLocked
from forwardtrader.core.log import log_to
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.output.files import CANDLES, EQUITY, FILLS, FORECASTS, ORDERS, PAGE
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.output.mirror import SessionMirror
from forwardtrader.live.output.refresh import SessionOutput
from forwardtrader.live.output.state_store import StateStore
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.output.writer import NotWritten, Writer
from forwardtrader.live.session.forecasts import known_forecasts
from forwardtrader.reports.pages.session_status import read_status
from tests import ROOT
from tests.live.recorded_session import BEGAN, STEP, SYMBOLS, RecordedSession, fill, moment, recorded, rows
from tests.sandbox.test_parent_process import wait_until_gone

TABLES = (FILLS, EQUITY, FORECASTS, ORDERS, CANDLES)
BARS = 120


@pytest.fixture(scope="module")
def warm() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


@pytest.fixture
def writer(warm: Writer) -> Writer:
    return warm


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RecordedSession]:
    with recorded(tmp_path / "one", BARS) as made:
        yield made


def wait_for(what: Callable[[], Any], patience_s: float = 60.0) -> Any:
    until = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)
    return found


def children_of(pid: int | None) -> list[psutil.Process]:
    return [] if pid is None else psutil.Process(pid).children(recursive=True)


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


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_process_that_dies_is_started_again(session: RecordedSession, writer: Writer) -> None:
    writer.write(session.writing())
    (session.folder / PAGE).unlink()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    with pytest.raises(NotWritten, match="ended with -9"):
        writer.write(session.writing())
    writer.write(session.writing())
    assert (session.folder / PAGE).is_file()


def test_a_writing_that_hangs_is_ended(session: RecordedSession, tmp_path: Path) -> None:
    writer = Writer()
    output = SessionOutput(session.job, session.store, _Deaf(), writer=writer, first_s=0.0, least_s=0.0, longest_s=4.0)
    with log_to(tmp_path / "log.jsonl"), FileLock(session.folder / "output.lock"):
        output.refresh()
        first = wait_for(lambda: writer.pid)
        wait_for(lambda: output.refresh() or "output_not_written" in (tmp_path / "log.jsonl").read_text())
    wait_until_gone(first)
    assert [entry["seconds"] >= 4.0 for entry in log_of(tmp_path)] == [True]
    writer.write(session.writing())
    writer.close()
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


def test_where_nothing_can_be_forked_the_process_is_replaced_after_each_writing(session: RecordedSession) -> None:
    writer, seen = Writer(forks=False), []
    for _ in range(2):
        writer.write(session.writing())
        (session.folder / PAGE).unlink()
        seen.append(writer.pid)
    assert seen == [None, None]


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


def test_ctrl_c_in_a_terminal_ends_a_session_and_all_beside_it_without_a_word(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.live.session_runner", str(tmp_path), "one", "0"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: process.poll() is not None or (tmp_path / "one" / PAGE).is_file())
    beside = children_of(process.pid)
    assert "forwardtrader.live.output.writer_process" in str([child.cmdline() for child in psutil.Process(process.pid).children()])
    os.killpg(process.pid, signal.SIGINT)
    said, trouble = process.communicate(timeout=60)
    assert (process.returncode, said, trouble) == (0, "", "")
    for child in beside:
        wait_until_gone(child.pid)
    status, equity = read_status(tmp_path / "one"), pd.read_parquet(tmp_path / "one" / EQUITY)
    assert (status.state, status.reason) == ("stopped", "stopped by SIGINT")
    assert equity.index[-1] == status.last_bar


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

    short, long = peak_of_one_writing(2_000), peak_of_one_writing(40_000)
    assert long < short + 50_000, (short, long)
    assert long < 500_000, (short, long)


class _Deaf(SessionMirror):
    """Hears nothing."""

    def __init__(self) -> None:
        pass

    def status(self, body: dict[str, Any], *, now: bool = False) -> None:
        pass

    def fills(self, session: Any, upto: int, fresh: Any) -> bool:
        return False


# The mirror


def settings(folder: Path) -> LiveSettings:
    return LiveSettings(state_path=str(folder / "state.db"))


def told_fills(folder: Path) -> list[tuple[str, str]]:
    store = StateStore(folder / "state.db")
    names = store.names("sessions/one/fills/")
    found = [(name.rpartition("/")[2], store.get(name)["order_ref"]) for name in names]  # type: ignore[index]
    store.close()
    return found


def test_each_fill_is_told_once_and_in_order_a_few_at_a_time_also_after_a_restart(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 2_500, fresh=Rows(SYMBOLS, [fill(2_500), fill(2_510)], [], [])) as session:
        mirror = SessionMirror(settings(tmp_path), "one")
        kept, fresh = session.store.marks().fills, session.strategy.analyzers.fills.rows()
        assert mirror.fills(session.store, kept, fresh)
        assert 0 < len(told_fills(tmp_path)) < kept
        mirror.close()
        mirror = SessionMirror(settings(tmp_path), "one")
        while mirror.fills(session.store, kept, fresh):
            pass
        everything = [(f"{number:08d}", str(10 * number)) for number in range(252)]
        assert told_fills(tmp_path) == everything
        session.store.record((), (), rows=Rows(SYMBOLS, [*fresh, fill(2_520)], [], []))  # the next bar is kept
        mirror.close()
        mirror = SessionMirror(settings(tmp_path), "one")
        while mirror.fills(session.store, session.store.marks().fills, []):
            pass
        assert told_fills(tmp_path) == [*everything, ("00000252", "2520")]
        assert mirror.store.lag() == 253, "none was told twice"
        assert mirror.store.get("sessions/one/fills/00000001") == {
            "timestamp": str(pd.Timestamp(moment(10))), "symbol": "BTC/USDT", "side": "sell", "size": 0.1, "price": 103.0, "fee": 0.01,
            "fee_currency": "USDT", "order_ref": "10", "reason": "edge", "slippage": 0.0,
        }  # fmt: skip
        mirror.close()


def test_a_session_tells_its_mirror_everything_at_its_end(tmp_path: Path, writer: Writer) -> None:
    with recorded(tmp_path / "one", 2_500, fresh=Rows(SYMBOLS, [fill(2_500)], [], [])) as session:
        mirror = SessionMirror(settings(tmp_path), "one")
        SessionOutput(session.job, session.store, mirror, writer=writer).finish()
        mirror.close()
    assert len(told_fills(tmp_path)) == 251
    assert len(pd.read_parquet(session.folder / FILLS)) == 251


def test_forecasts_of_an_earlier_process_are_looked_up_bar_by_bar(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 20) as session:
        known = known_forecasts(session.store, "ETH/USDT", BEGAN + 9 * STEP)
        table = session.store.forecasts()
        told = known(moment(9))
        assert told is not None
        row = table[(table["symbol"] == "ETH/USDT") & (table["timestamp"] == moment(9))].iloc[0]
        assert (told.at, told.location, told.quantiles[4], told.model_id) == (moment(9), row["location"], row["q95"], "momentum")
        assert known(moment(10)) is None, "it was made at a bar that is not past"
        assert known_forecasts(session.store, "ETH/USDT", None)(moment(0)) is None
