"""Bars that passed while nobody traded: a session with real orders learns from them, and its replay trades at none of them either."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import backtrader as bt
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.bridge.pre_trade_checks import OLD_BAR
from forwardtrader.live.execution.events import NEVER_ARRIVED
from forwardtrader.live.parity.command import compare
from forwardtrader.live.parity.record import read_session
from forwardtrader.live.session.sandbox_process import find_practice
from tests import PATIENCE_S, ROOT
from tests.live.session_runner import Momentum, request_for, run

REAL = ("--live", "--yes-real-money", "--set", "strategies.slippage_bps=0", "--set", "strategies.max_drawdown=1")
PERPETUALS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
LEARNING = ("costs", "edge", "volatility")


AFTER = "after the answer is kept"
BEFORE = "before the wire"


def killed(folder: Path, count: int, passed: int, *flags: str, symbols: tuple[str, ...], point: str = AFTER) -> None:
    """A session that is killed over its so many-th buy, and a market that goes on without it."""
    spec = {"point": point, "side": "buy", "kind": "market", "count": count}
    words = [sys.executable, "-m", "tests.live.kill_runner", json.dumps(spec), ",".join(symbols), str(folder), "one", "200", *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    venue = find_practice(folder / "one" / "practice.json")
    assert venue is not None
    venue.control("advance", bars=passed)


@pytest.mark.usefixtures("practice_ends")
@pytest.mark.parametrize(
    ("exchange", "symbols", "point"), [("bybit", PERPETUALS, AFTER), ("bybit", PERPETUALS, BEFORE), ("binance", ("BTC/USDT",), AFTER)]
)
def test_a_session_that_missed_bars_knows_what_its_replay_knows_and_equals_it(
    tmp_path: Path, exchange: str, symbols: tuple[str, ...], point: str
) -> None:
    learned = [word for name in LEARNING for word in ("--set", f"learning.{name}=true")]
    flags = (*REAL, *learned, "--exchange", exchange, "--set", "strategies.portfolio_margin=0.1")
    killed(tmp_path, 4, 5, *flags, symbols=symbols, point=point)
    assert run(request_for(tmp_path, "one", 40, *flags, symbols=symbols)) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum() for symbol in symbols})
    assert parity.first_difference is None
    assert parity.compared["fills"] > 5
    recorded = read_session(tmp_path / "one")
    assert set(recorded.blocked.values()) == ({OLD_BAR} if point == AFTER else {OLD_BAR, NEVER_ARRIVED})
    assert 4 <= len(recorded.undecided) <= 6, "those that passed, and at most the one that it was killed at"
    assert any("too late to be traded" in line for line in parity.deviations)


class EachHour(bt.Strategy):
    """Buys and sells by turns, whatever came before; knows its turn by the clock, and asks for nothing else."""

    def next(self) -> None:
        if self.data.datetime.datetime().hour % 2:
            self.buy(size=0.01)
        elif self.position:
            self.close()


@pytest.mark.usefixtures("practice_ends")
def test_a_strategy_of_ones_own_whose_orders_were_refused_at_old_bars_equals_its_replay(tmp_path: Path) -> None:
    flags = (*REAL, "--strategy", f"{__name__}:EachHour")
    killed(tmp_path, 7, 4, *flags, symbols=("BTC/USDT",))
    assert run(request_for(tmp_path, "one", 20, *flags, symbols=("BTC/USDT",))) == 0
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None
    assert parity.compared["fills"] > 15


class HalfOfTheCash(bt.Strategy):
    """Goes long and short by turns with what `get_cash` says is free."""

    def next(self) -> None:
        if len(self) % 6 == 0:
            self.close()
        elif len(self) % 3 == 1:
            side = self.buy if len(self) % 12 < 6 else self.sell
            side(size=0.4 * self.broker.get_cash() / self.data.close[0])


@pytest.mark.parametrize("leverage", ["1", "2"])
def test_the_free_margin_of_a_session_is_that_of_its_replay_on_both_sides(tmp_path: Path, leverage: str) -> None:
    symbol = "BTC/USDT:USDT"
    flags = (*REAL, "--strategy", f"{__name__}:HalfOfTheCash", "--set", f"strategies.leverage={leverage}", "--exchange", "bybit")
    assert run(request_for(tmp_path, "one", 40, *flags, symbols=(symbol,))) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum()})
    assert parity.first_difference is None
    sides = set(read_session(tmp_path / "one").tables["fills"]["side"])
    assert sides == {"buy", "sell"} and parity.compared["fills"] > 12
