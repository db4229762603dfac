"""A whole session on the practice exchange: parity with the backtest, restarts, words from a second terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import AccountLocked, StrategyFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.live import control
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.reports.pages.session_status import SessionState, read_status
from tests import PATIENCE_S, ROOT
from tests.live.session_runner import SYMBOLS, Momentum, bars_of, request_for, run, start, wait_for_bars

SOURCES = {symbol: Momentum() for symbol in SYMBOLS}


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


def test_a_session_trains_and_trades_in_whatever_folder_it_is_started(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "run_live.py"), "--sandbox", "--speed", "lockstep", "--session", "away", "--bars", "2", "--quiet"]
    for setting in ("train_window=60d", "retrain_every=10d", "epochs=1", "seeds=1", "units=8"):
        words += ["--set", f"models.{setting}"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert said.returncode == 0, said.stderr
    assert bars_of(tmp_path / "var" / "sessions", "away") == 2
    assert list((tmp_path / "var" / "models").glob("**/model.keras"))


def test_a_second_process_is_refused_with_exit_code_5(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with control.held(control.lock_of(tmp_path / "one"), "session 'one'"):
        process = start(tmp_path, "one", 1)
        assert process.wait(PATIENCE_S) == 5
        assert "in use" in process.communicate()[1]
        with pytest.raises(AccountLocked):
            run(request_for(tmp_path, "one", 1))


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


@pytest.mark.parametrize(("spec", "least"), [("lifecycle:HoldFiveBars", 10), ("signals:Accumulating", 2)])
def test_a_community_strategy_makes_the_same_orders_on_paper_with_real_orders_and_in_its_replay(
    tmp_path: Path, spec: str, least: int
) -> None:
    """How many they are depends on the day, up to which the market's past reaches."""
    orders = []
    for mode in ("paper", "live"):
        flags = (f"--{mode}", "--strategy", f"benchmarks.strategies.community.{spec}")
        assert run(request_for(tmp_path, mode, 120, *flags, symbols=("BTC/USDT",))) == 0
        parity = compare(tmp_path / mode, SystemClock(), SOURCES)
        assert parity.first_difference is None
        orders.append(parity.compared["orders"])
    assert orders[0] == orders[1] >= least


def test_a_strategy_without_forecasts_trades_at_once_on_a_short_history_trains_nothing_and_equals_its_replay(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(STRATEGIES)
    bars = sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=3, until=datetime(2024, 1, 1, tzinfo=UTC)).iloc[-200:]
    market = tmp_path / "market.csv"
    bars.set_axis(pd.DatetimeIndex(bars.index).as_unit("ms").asi8).rename_axis("timestamp").to_csv(market)
    flags = (
        "--market",
        str(market),
        "--strategy",
        f"{tmp_path / 'theirs.py'}:SmaCross",
        "--set",
        f"models.save_path={tmp_path / 'models'}",
    )
    request = request_for(tmp_path, "one", 60, *flags, symbols=("BTC/USDT",))
    assert LiveSession(request, SystemClock(), SessionView(Console(quiet=True), shown=False)).run() == 0
    parity = compare(tmp_path / "one", SystemClock())
    assert parity.first_difference is None
    assert (parity.bars, parity.compared["forecasts"]) == (60, 0)
    assert parity.compared["fills"] > 1
    assert not (tmp_path / "models").exists()
    assert json.loads((tmp_path / "one" / "plan.json").read_text())["forecasts"] is False


def test_a_failure_in_one_bar_is_survived_counted_and_kept(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(STRATEGIES)
    request = request_for(tmp_path, "one", 120, "--strategy", f"{tmp_path / 'failing.py'}:Failing", symbols=("BTC/USDT",))
    assert run(request) == 0
    kept = [n for n in SessionStore(tmp_path / "one" / "session.db").notes() if n["kind"] == "iteration_failed"]
    assert len(kept) >= 2
    assert "as strategies do" in kept[0]["facts"]["reason"]
    assert bars_of(tmp_path, "one") == 120


def test_a_strategy_that_fails_at_every_bar_ends_the_session_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "hopeless.py").write_text(
        "import backtrader as bt\nclass Hopeless(bt.Strategy):\n    def next(self):\n        self.nothing.here\n"
    )
    request = request_for(tmp_path, "one", 120, "--strategy", f"{tmp_path / 'hopeless.py'}:Hopeless", symbols=("BTC/USDT",))
    with pytest.raises(StrategyFailed, match=r"hopeless.py:4 in next: AttributeError: .*; the traceback is in .*log.jsonl") as caught:
        run(request)
    assert caught.value.exit_code == 2
    assert bars_of(tmp_path, "one") < 20
    kept = [n for n in SessionStore(tmp_path / "one" / "session.db").notes() if n["kind"] == "session_halted"]
    assert "hopeless.py:4 in next" in kept[-1]["facts"]["reason"]


def test_a_strategy_that_cannot_be_made_ends_the_start_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "unmade.py").write_text(
        "import backtrader as bt\nclass Unmade(bt.Strategy):\n    def __init__(self):\n        self.x = 1 / 0\n"
    )
    request = request_for(tmp_path, "one", 20, "--strategy", f"{tmp_path / 'unmade.py'}:Unmade", symbols=("BTC/USDT",))
    with pytest.raises(StrategyFailed, match=r"unmade.py:4 in __init__: ZeroDivisionError: division by zero; the traceback is in "):
        run(request)


def test_a_market_by_the_clock_begins_when_the_session_is_ready(tmp_path: Path) -> None:
    """A bar takes a tenth of a second here, and a session takes seconds to start."""
    request = request_for(tmp_path, "one", 5, "--speed", "36000", symbols=("BTC/USDT",))
    supply = FixedSupply({symbol: Momentum() for symbol in request.symbols})
    session = LiveSession(request, SystemClock(), SessionView(Console(), shown=False), supply=supply)
    assert session.run() == 0
    assert session.parts.bridge.first_live == session.parts.first_ms
    first = SessionStore(tmp_path / "one" / "session.db").bars("BTC/USDT").index[0]
    assert int(first.timestamp() * 1000) == session.parts.first_ms
