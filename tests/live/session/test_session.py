"""A whole session on the practice exchange: parity with the backtest, restarts, words from a second terminal."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import AccountLocked, ConfigError, RiskHalt, StartRefused
from forwardtrader.live import control
from forwardtrader.live.control import Verb
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.__main__ import compare
from forwardtrader.live.retraining.fixed_supply import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.reports.pages.session_status import SessionState, read_status
from tests import ROOT
from tests.live.session_runner import SYMBOLS, Momentum, request_for, run
from tests.sandbox.test_parent_process import wait_until_gone

SOURCES = {symbol: Momentum() for symbol in SYMBOLS}


def start(folder: Path, name: str, bars: int, *flags: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.live.session_runner", str(folder), name, str(bars), *flags]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def bars_of(folder: Path, name: str) -> int:
    try:
        with sqlite3.connect(f"file:{folder / name / 'session.db'}?mode=ro", uri=True) as store:
            return int(store.execute("select count(distinct at) from bars").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def wait_for_bars(folder: Path, name: str, count: int, process: subprocess.Popen[str], patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while bars_of(folder, name) < count:
        assert time.monotonic() < until, "the session does not move"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def test_a_session_equals_its_replay_in_every_bar_order_fill_and_cent(tmp_path: Path) -> None:
    assert run(request_for(tmp_path, "one", 200)) == 0
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert parity.equal
    assert (parity.bars, parity.compared["forecasts"]) == (200, 600)
    assert parity.compared["fills"] > 10
    assert {p.name for p in (tmp_path / "one").iterdir()} >= {
        "session.json", "candles.parquet", "forecasts.parquet", "fills.parquet", "equity.parquet", "log.jsonl", "index.html",
        "parity.html", "parity.json",
    }  # fmt: skip
    assert 'href="parity.html"' in (tmp_path / "one" / "index.html").read_text(encoding="utf-8")
    status = read_status(tmp_path / "one")
    assert (status.state, status.bars, status.kind) == (SessionState.STOPPED, 200, "sample")


def test_a_session_killed_in_the_middle_goes_on_where_it_stood(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 150)
    wait_for_bars(tmp_path, "one", 60, process)
    process.kill()
    process.communicate()
    seen = bars_of(tmp_path, "one")
    assert run(request_for(tmp_path, "one", 80)) == 0
    assert bars_of(tmp_path, "one") == seen + 80
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert (parity.equal, parity.bars) == (True, seen + 80)


def test_a_changed_bar_is_found_by_parity(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 60))
    table = pd.read_parquet(tmp_path / "one" / "forecasts.parquet")
    table.loc[30, "location"] += 1e-17 + abs(table.loc[30, "location"]) * 1e-15
    table.to_parquet(tmp_path / "one" / "forecasts.parquet")
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert not parity.forecasts_equal
    assert parity.orders_equal and parity.fills_equal
    assert parity.first_difference is not None
    assert parity.first_difference.what.startswith("forecasts: location")


def test_words_from_a_second_terminal_are_obeyed_and_replayed(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    wait_for_bars(tmp_path, "one", 40, process)
    control.say(tmp_path / "one", Verb.FLATTEN)
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 20, process)
    control.say(tmp_path / "one", Verb.RESUME)
    wait_for_bars(tmp_path, "one", bars_of(tmp_path, "one") + 20, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.communicate()
    assert [name for _, name in SessionStore(tmp_path / "one" / "session.db").commands()] == ["flatten", "resume"]
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert "SIGTERM" in read_status(tmp_path / "one").reason


def test_the_kill_switch_ends_the_session_and_survives_a_restart(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    wait_for_bars(tmp_path, "one", 20, process)
    control.say(tmp_path / "one", Verb.KILL)
    assert process.wait(30) == 4
    process.communicate()
    with pytest.raises(RiskHalt, match="--resume"):
        run(request_for(tmp_path, "one", 5))
    assert read_status(tmp_path / "one").state is SessionState.HALTED
    control.say(tmp_path / "one", Verb.RESUME)
    assert run(request_for(tmp_path, "one", 5)) == 0


def test_a_session_trains_and_trades_in_whatever_folder_it_is_started(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "run_live.py"), "--sandbox", "--speed", "lockstep", "--session", "away", "--bars", "2", "--quiet"]
    for setting in ("train_window=60d", "retrain_every=10d", "epochs=1", "seeds=1", "units=8"):
        words += ["--set", f"models.{setting}"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stderr
    assert bars_of(tmp_path / "var" / "sessions", "away") == 2
    assert list((tmp_path / "var" / "models").glob("**/model.keras"))


def test_a_second_process_is_refused_with_exit_code_5(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with control.held(control.lock_of(tmp_path / "one"), "session 'one'"):
        process = start(tmp_path, "one", 1)
        assert process.wait(60) == 5
        assert "in use" in process.communicate()[1]
        with pytest.raises(AccountLocked):
            run(request_for(tmp_path, "one", 1))


def test_a_session_cannot_go_on_with_other_symbols(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    with pytest.raises(StartRefused, match="symbols"):
        run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))


def test_a_word_to_a_session_that_does_not_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no session"):
        control.say(tmp_path / "none", Verb.PAUSE)
    (tmp_path / "one").mkdir()
    with pytest.raises(ConfigError, match="not running"):
        control.say(tmp_path / "one", Verb.PAUSE)


STRATEGIES = """
import backtrader as bt

class SmaCross(bt.Strategy):
    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))
    def next(self):
        if not self.position and self.cross > 0:
            self.buy()
        elif self.position and self.cross < 0:
            self.close()

class Bracket(bt.Strategy):
    def __init__(self):
        self.orders = []
    def next(self):
        if not self.position and not any(o.alive() for o in self.orders):
            price = self.data.close[0]
            self.orders = self.buy_bracket(size=0.02, price=price * 0.999, stopprice=price * 0.98, limitprice=price * 1.02)

class Failing(SmaCross):
    def next(self):
        super().next()
        if len(self) % 50 == 0:
            raise ZeroDivisionError("as strategies do")
"""


@pytest.mark.parametrize("name", ["SmaCross", "Bracket"])
def test_any_backtrader_strategy_runs_and_equals_its_replay(tmp_path: Path, name: str) -> None:
    (tmp_path / "theirs.py").write_text(STRATEGIES)
    request = request_for(tmp_path, "one", 150, "--strategy", f"{tmp_path / 'theirs.py'}:{name}", symbols=("BTC/USDT",))
    assert run(request) == 0
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert parity.compared["fills"] > 1


def test_a_failure_in_one_bar_is_survived_counted_and_kept(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(STRATEGIES)
    request = request_for(tmp_path, "one", 120, "--strategy", f"{tmp_path / 'failing.py'}:Failing", symbols=("BTC/USDT",))
    assert run(request) == 0
    kept = [n for n in SessionStore(tmp_path / "one" / "session.db").notes() if n["kind"] == "iteration_failed"]
    assert len(kept) >= 2
    assert "as strategies do" in kept[0]["facts"]["reason"]
    assert bars_of(tmp_path, "one") == 120


def test_the_practice_exchange_does_not_outlive_its_session(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))
    pid = json.loads((tmp_path / "one" / "practice.json").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_practice_exchange_ends_with_a_session_that_is_killed_before_its_first_bar(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    address = tmp_path / "one" / "practice.json"
    until = time.monotonic() + 60
    while not address.is_file() or not address.read_text():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.005)
    process.kill()
    wait_until_gone(json.loads(address.read_text())["pid"])
    process.communicate()


def test_a_market_by_the_clock_begins_when_the_session_is_ready(tmp_path: Path) -> None:
    """A bar takes a tenth of a second here, and a session takes seconds to start."""
    request = request_for(tmp_path, "one", 5, "--speed", "36000", symbols=("BTC/USDT",))
    supply = FixedSupply({symbol: Momentum() for symbol in request.symbols})
    session = LiveSession(request, SystemClock(), SessionView(Console(), shown=False), supply=supply)
    assert session.run() == 0
    assert session.bridge.first_live == session.first_ms
    first = SessionStore(tmp_path / "one" / "session.db").bars("BTC/USDT").index[0]
    assert int(first.timestamp() * 1000) == session.first_ms
