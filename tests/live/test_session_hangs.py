"""A session whose `next()` hangs, in Python or with the interpreter's lock held: kill, pause, flatten and signals work all the same."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import RiskHalt
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.instruction import instruct
from forwardtrader.live.output.store import SessionStore
from forwardtrader.reports.pages.session_status import SessionState, read_status
from tests.live.session_runner import bars_of, request_for, run, start, wait_for_bars
from tests.live.test_session_stops import ONE, begun, held, holding, open_orders, over, wait_until

pytestmark = pytest.mark.usefixtures("practice_ends")


def hung(tmp_path: Path, how: str, *more: str) -> subprocess.Popen[str]:
    """A session that holds a position, has a stop at the venue, and hangs in `next()`."""
    process = begun(tmp_path, *more)
    (tmp_path / how).touch()
    wait_until(lambda: (tmp_path / "hangs").exists())
    time.sleep(0.5)
    return process


def events(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("how", "code"), [("sleep", 4), ("hold", -signal.SIGKILL)])
def test_a_kill_takes_orders_back_and_ends_the_process_while_next_hangs(tmp_path: Path, how: str, code: int) -> None:
    process = hung(tmp_path, how)
    assert len(open_orders(tmp_path)) == 1
    said = instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.KILL, SystemClock())
    assert "1 order cancelled" in said, said
    assert over(process) == code
    assert open_orders(tmp_path) == []
    with pytest.raises(RiskHalt, match=r"killed.*--resume"):
        run(request_for(tmp_path, "one", 5, *holding(tmp_path), symbols=ONE))


@pytest.mark.parametrize("how", ["sleep", "hold"])
def test_a_kill_by_a_file_is_seen_while_next_hangs(tmp_path: Path, how: str) -> None:
    process = hung(tmp_path, how)
    control.kill(tmp_path / "one")
    over(process)
    wait_until(lambda: open_orders(tmp_path) == [])


def test_a_flatten_sells_while_next_hangs_and_the_session_goes_on_with_what_it_has_now(tmp_path: Path) -> None:
    process = hung(tmp_path, "sleep_for_a_while")
    said = instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.FLATTEN, SystemClock())
    assert "though its loop hangs" in said and "sold 0.00999 BTC/USDT" in said and "1 order cancelled" in said, said
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, [])
    (tmp_path / "sleep_for_a_while").unlink()
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 5, process)
    assert process.poll() is None
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, []), "it is paused"
    process.terminate()
    assert over(process) == 0
    status = read_status(tmp_path / "one")
    assert (status.positions, status.open_orders) == ([], []), "the strategy knows what was sold without it"
    fills = SessionStore(tmp_path / "one" / "session.db").tables(ONE).fills
    assert fills["side"].tolist() == ["buy", "sell"]


def test_a_flatten_sells_what_a_process_holds_that_must_be_ended_for_it(tmp_path: Path) -> None:
    process = hung(tmp_path, "hold")
    said = instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.FLATTEN, SystemClock())
    assert "its process hung and was ended" in said and "sold 0.00999 BTC/USDT" in said, said
    assert over(process) == -signal.SIGKILL
    assert (held(tmp_path), open_orders(tmp_path)) == (0.0, [])


def test_a_pause_holds_for_what_a_hanging_next_orders_afterwards(tmp_path: Path) -> None:
    (tmp_path / "buys_after").touch()
    process = hung(tmp_path, "sleep_for_a_while")
    assert "paused" in instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.PAUSE, SystemClock())
    before = held(tmp_path)
    (tmp_path / "sleep_for_a_while").unlink()
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 3, process)
    assert held(tmp_path) == before
    assert any(event.get("refusal") == "the session is paused" for event in events(tmp_path))
    process.kill()
    over(process)


@pytest.mark.parametrize(("how", "code"), [("sleep", 128 + signal.SIGTERM), ("hold", -signal.SIGKILL)])
def test_sigterm_ends_a_session_that_hangs(tmp_path: Path, how: str, code: int) -> None:
    process = hung(tmp_path, how, "--set", "live.orders_at_stop=cancel")
    process.terminate()
    assert over(process) == code
    wait_until(lambda: open_orders(tmp_path) == [])


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("sleep", 128 + signal.SIGINT), ("hold", -signal.SIGKILL)])
def test_a_second_ctrl_c_ends_a_session_that_hangs(tmp_path: Path, how: str, code: int) -> None:
    process = hung(tmp_path, how)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)  # two that come at once are one
    process.send_signal(signal.SIGINT)
    assert over(process) == code
    assert len(open_orders(tmp_path)) == 1, "they are kept, as the settings say"


def test_ctrl_c_ends_a_session_in_good_order_with_130(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0, "--symbol", "BTC/USDT")
    wait_for_bars(tmp_path, "one", 10, process)
    process.send_signal(signal.SIGINT)
    assert over(process) == 130
    status = read_status(tmp_path / "one")
    assert (status.state, status.reason) == (SessionState.STOPPED, "stopped by SIGINT")


def test_a_kill_ends_a_paper_session_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "sleep").touch()
    words = [word for word in holding(tmp_path) if word != "--live"]
    process = start(tmp_path, "one", 0, *words)
    wait_until(lambda: (tmp_path / "hangs").exists())
    assert "killed" in instruct(request_for(tmp_path, "one", 0, symbols=ONE), ControlCommand.KILL, SystemClock())
    assert over(process) == 4
