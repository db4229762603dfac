"""Stop means stop: commands are carried out once and answered, and a killed session leaves nothing at the venue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import NotObeyed, RiskHalt
from forwardtrader.live import cli as entry
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.instruction import instruct
from forwardtrader.live.mailbox import Command, send, wait_for_answer
from forwardtrader.live.output.store import SessionStore
from tests import PATIENCE_S, ROOT
from tests.live.session_runner import bars_of, request_for, run, start, wait_for_bars
from tests.processes import begin

pytestmark = pytest.mark.usefixtures("practice_ends")
ONE = ("BTC/USDT",)
HOLDING = """
import time
import backtrader as bt
from pathlib import Path

class Holding(bt.Strategy):
    '''Buys once, keeps a stop below it, and hangs when it finds a file of that name beside it.'''

    def next(self):
        if not self.data.is_current:
            return
        if not self.position and not self.broker.get_orders_open():
            self.buy(size=0.01)
        elif self.position and not self.broker.get_orders_open():
            self.sell(size=self.position.size, exectype=bt.Order.Stop, price=self.data.close[0] * 0.5)
        here = Path(__file__).parent
        if (here / "sleep").exists():
            (here / "hangs").touch()
            time.sleep(3600)
        if (here / "sleep_for_a_while").exists():
            (here / "hangs").touch()
            while (here / "sleep_for_a_while").exists():
                time.sleep(0.01)
            if (here / "buys_after").exists():
                self.buy(size=0.01)
        if (here / "hold").exists():
            (here / "hangs").touch()
            import ctypes
            libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
            libc.pthread_mutex_lock(mutex)
            libc.pthread_mutex_lock(mutex)  # for ever, the interpreter's lock is not given back, and no signal ends it
"""


def holding(tmp_path: Path, *more: str) -> tuple[str, ...]:
    (tmp_path / "holding.py").write_text(HOLDING)
    return ("--live", "--strategy", f"{tmp_path / 'holding.py'}:Holding", "--symbol", "BTC/USDT", *more)


def begun(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """A session that holds a position and has a stop at the venue."""
    process = start(tmp_path, "one", 0, *holding(tmp_path, *more))
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 6, process)
    return process


def open_orders(tmp_path: Path) -> list[str]:
    journal = Journal(tmp_path / "one" / "journal.db")
    try:
        return [intent.client_id for intent, _ in journal.open_intents()]
    finally:
        journal.close()


def held(tmp_path: Path) -> float:
    journal = Journal(tmp_path / "one" / "journal.db")
    try:
        return float(
            sum((e.size if e.side == "buy" else -e.size) - (e.fee if e.fee_currency == "BTC" else 0) for e in journal.executions())
        )
    finally:
        journal.close()


def over(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> int:
    code = process.wait(patience_s)
    process.communicate()
    return code


def mourned(tmp_path: Path) -> None:
    """Wait until the guardian of a session that died has done its part: who asks for a kill before that is obeyed by the guardian."""
    wait_until(lambda: '"ended_by_guardian"' in (tmp_path / "one" / "log.jsonl").read_text())


def test_flatten_is_answered_with_what_was_sold_and_a_restart_does_not_sell_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = begun(tmp_path)
    words = ["--set", f"live.sessions_path={tmp_path}"]
    assert entry.command(["--flatten", *words], SystemClock()) == 0, "the one running session is meant"
    said = " ".join(capsys.readouterr().out.split())
    assert "session one: flattened" in said and "sold 0.00999 BTC/USDT at" in said and "1 order cancelled" in said, said
    assert held(tmp_path) == 0
    process.kill()
    over(process)
    # The pause still holds, the flatten is not repeated, and what the person wants next is obeyed within the same bar.
    process = start(tmp_path, "one", 0, *holding(tmp_path))
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 2, process)
    assert held(tmp_path) == 0
    request = request_for(tmp_path, "one", 0, symbols=ONE)
    assert "resumed" in instruct(request, ControlCommand.RESUME, SystemClock())
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 6, process)
    assert held(tmp_path) == pytest.approx(0.00999)
    resting = open_orders(tmp_path)
    assert len(resting) == 1
    process.kill()
    over(process)
    process = start(tmp_path, "one", 0, *holding(tmp_path))
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 3, process)
    assert open_orders(tmp_path) == resting, "today's stop is not taken away by yesterday's flatten"
    assert "flattened" in instruct(request, ControlCommand.FLATTEN, SystemClock())
    assert held(tmp_path) == 0
    assert "killed" in instruct(request, ControlCommand.KILL, SystemClock())
    assert over(process) == 4


def test_a_flatten_sent_to_a_start_is_carried_out_once_it_can_be_and_again_after_the_next(tmp_path: Path) -> None:
    process = begun(tmp_path)
    for number in (1, 2):
        process.kill()
        over(process)
        process = start(tmp_path, "one", 0, *holding(tmp_path))
        command = sent_while_starting(tmp_path, process)
        answer = wait_for_answer(tmp_path / "one", command, PATIENCE_S)
        assert answer is not None and "start" in answer.text, answer
        store = SessionStore(tmp_path / "one" / "session.db", reads=True)
        wait_until(lambda: [name for _, name in store.commands()] == ["flatten"] * number)  # noqa: B023
        store.close()
        wait_until(lambda: held(tmp_path) == 0)
    process.kill()
    over(process)


def sent_while_starting(tmp_path: Path, process: subprocess.Popen[str]) -> Command:
    """A flatten for a process that holds the session, and has no loop yet."""
    run, before = tmp_path / "one" / "run.json", time.time()
    wait_until(lambda: run.exists() and run.stat().st_mtime > before - 1 and str(process.pid) in run.read_text())
    command = send(tmp_path / "one", ControlCommand.FLATTEN, SystemClock())
    assert command is not None
    return command


def wait_until(true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.02)


def test_orders_cancelled_at_a_stop_are_not_cancelled_again_by_a_later_start(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.kill()
    over(process)
    store = SessionStore(tmp_path / "one" / "session.db")
    store.command(store.last_bar() or 0, "cancel", "2026-01-01T00:00:00+00:00")  # as an earlier stop left it
    store.close()
    resting = open_orders(tmp_path)
    assert len(resting) == 1
    process = start(tmp_path, "one", 0, *holding(tmp_path))
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 4, process)
    assert open_orders(tmp_path) == resting
    process.kill()
    over(process)


def test_a_session_that_died_is_killed_at_its_next_start_which_takes_its_orders_back(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.kill()
    over(process)
    mourned(tmp_path)
    assert len(open_orders(tmp_path)) == 1
    (tmp_path / "one" / "killed").touch()  # by hand
    with pytest.raises(RiskHalt, match=r"1 order cancelled.*--resume"):
        run(request_for(tmp_path, "one", 5, *holding(tmp_path), symbols=ONE))
    assert open_orders(tmp_path) == []


def test_a_kill_of_a_session_that_does_not_run_takes_its_orders_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = begun(tmp_path)
    process.kill()
    over(process)
    mourned(tmp_path)
    words = ["--kill", "--session", "one", "--live", "--set", f"live.sessions_path={tmp_path}"]  # --live is no condition for stopping
    assert entry.command(words, SystemClock()) == 0
    assert "1 order cancelled" in " ".join(capsys.readouterr().out.split())
    assert open_orders(tmp_path) == []
    assert control.is_killed(tmp_path / "one")


def test_a_command_that_nobody_carries_out_is_no_success(tmp_path: Path) -> None:
    request = request_for(tmp_path, "one", 0, symbols=ONE)
    with control.held(control.lock_of(request.folder), "the session"), pytest.raises(NotObeyed, match=r"hangs.*--kill"):
        instruct(request, ControlCommand.PAUSE, SystemClock())


SLOW_START = """
import time
from pathlib import Path
from tests.live import session_runner
from forwardtrader.core.command.cli import end_well
from forwardtrader.live.retraining.stock import FixedSupply
import sys

here = Path(sys.argv[1])

def open_slowly(self, at):
    (here / "trains").touch()
    while (here / "train").exists():
        time.sleep(0.01)

FixedSupply.open = open_slowly
flags = ["--live", "--strategy", f"{here / 'holding.py'}:Holding", "--symbol", "BTC/USDT"]
sys.exit(end_well(lambda: session_runner.run(session_runner.request_for(here, "one", 0, *flags))))
"""


def training(tmp_path: Path) -> subprocess.Popen[str]:
    """A session that has a position and a stop from before, and trains at its start."""
    process = begun(tmp_path)
    process.kill()
    over(process)
    (tmp_path / "train").touch()
    (tmp_path / "slow_start.py").write_text(SLOW_START)
    words = [sys.executable, str(tmp_path / "slow_start.py"), str(tmp_path)]
    process = begin(words, env={**os.environ, "PYTHONPATH": str(ROOT)})
    wait_until(lambda: (tmp_path / "trains").exists())
    return process


def test_a_flatten_is_carried_out_while_the_start_trains_and_the_session_is_paused_then(tmp_path: Path) -> None:
    process = training(tmp_path)
    said = instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.FLATTEN, SystemClock())
    assert "flattened while the session starts" in said and "sold 0.00999 BTC/USDT" in said and "1 order cancelled" in said, said
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, [])
    (tmp_path / "train").unlink()
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 3, process)
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, []), "it is paused"
    process.terminate()
    assert over(process) == 0


def test_a_kill_ends_a_start_that_trains(tmp_path: Path) -> None:
    process = training(tmp_path)
    assert "killed while it was starting" in instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.KILL, SystemClock())
    assert process.wait(PATIENCE_S) == 4
    assert "was killed; no order of it rests anywhere" in process.communicate()[1], "its practice exchange has ended with it"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_start_that_trains(tmp_path: Path, number: int, code: int) -> None:
    process = training(tmp_path)
    process.send_signal(number)
    assert over(process) == code
    assert len(open_orders(tmp_path)) == 1
