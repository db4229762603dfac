"""A session with real orders that is killed around a post: the next start finds journal, venue, position, cash and fills equal."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StartRefused
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.parts import SessionParts
from forwardtrader.live.session.sandbox_process import PracticeVenue, find_practice
from forwardtrader.live.session.session import LiveSession
from forwardtrader.live.venue.client_ids import run_prefix
from tests import PATIENCE_S, ROOT
from tests.live.books import require_agreement
from tests.live.kill_runner import KINDS, POINTS, SIDES
from tests.live.session_runner import Momentum, bars_of, request_for

SYMBOLS = ("BTC/USDT",)
# What rests is taken back at the end: an execution of the last moment is asked for then, and not left to yet another start.
FLAGS = ("--live", "--strategy", f"{ROOT / 'tests/live/turns.py'}:Turns", "--set", "live.orders_at_stop=cancel")


class Looked(LiveSession):
    """A session whose practice exchange is asked what it knows before it ends."""

    def assemble(self, stack: ExitStack) -> SessionParts:
        parts = super().assemble(stack)
        stack.callback(self._ask, parts.market.practice)
        return parts

    def _ask(self, venue: PracticeVenue) -> None:
        self.known = {name: venue.control(name) for name in ("orders", "trades", "state")}

    def control(self, name: str) -> Any:
        return self.known[name]


def die(folder: Path, *more: str, symbols: tuple[str, ...] = SYMBOLS, **spec: Any) -> int:
    """Start, or go on with, the session, and have it killed; returns how it ended."""
    words = [sys.executable, "-m", "tests.live.kill_runner", json.dumps(spec), ",".join(symbols), str(folder), "one", "60", *FLAGS, *more]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in (-signal.SIGKILL, 0), (done.returncode, done.stderr)
    return done.returncode


def pass_bars(folder: Path, bars: int) -> None:
    """The market goes on while nobody trades."""
    venue = find_practice(folder / "one" / "practice.json")
    if venue is not None and bars:
        venue.control("advance", bars=bars)


def go_on(folder: Path, bars: int, *more: str, symbols: tuple[str, ...] = SYMBOLS) -> Looked:
    """The next start, to the end of so many bars, and everybody's books compared."""
    request = request_for(folder, "one", bars, *FLAGS, *more, symbols=symbols)
    supply = FixedSupply({symbol: Momentum() for symbol in symbols})
    session = Looked(request, SystemClock(), SessionView(Console(), shown=False), supply=supply)
    assert session.run() == 0
    journal = Journal(folder / "one" / "journal.db")
    require_agreement(session, journal, session.progress.strategy, prefix="ft-one-")
    require_fills(folder, journal, session)
    journal.close()
    return session


def require_fills(folder: Path, journal: Journal, session: Looked) -> None:
    """The session's table of fills, with those after its last bar, has each execution once, and so has its file."""
    store = SessionStore(folder / "one" / "session.db")
    table = store.tables(session.request.symbols).fills
    store.close()
    table = table.to_dict("records") + session.progress.strategy.analyzers.fills.frame().to_dict("records")
    told = Counter((row["order_ref"], f"{row['size']:.8f}", f"{row['price']:.8f}") for row in table)
    booked = Counter((e.client_id, f"{e.size:.8f}", f"{e.price:.8f}") for e in journal.executions())
    assert told == booked
    written = pd.read_parquet(folder / "one" / "fills.parquet").to_dict("records")
    assert Counter((row["order_ref"], f"{row['size']:.8f}", f"{row['price']:.8f}") for row in written) == booked


QUICK = [
    ("before the answer is kept", "sell", "market"),
    ("before the answer is kept", "buy", "stop"),
    ("after the answer is kept", "sell", "market"),
]


@pytest.mark.parametrize(("point", "side", "kind"), QUICK)
def test_a_session_killed_around_an_order_starts_again_with_equal_books(tmp_path: Path, point: str, side: str, kind: str) -> None:
    assert die(tmp_path, point=point, side=side, kind=kind, count=1) == -signal.SIGKILL
    pass_bars(tmp_path, 1)
    go_on(tmp_path, 9)


# What rests is executed by the market, not in answer to its post: it has no executions to die amid.
ALL = [(p, s, k) for p in POINTS for s in SIDES for k in KINDS if k == "market" or p != "amid its executions"]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "side", "kind"), ALL)
def test_wherever_a_session_is_killed_again_and_again_its_books_are_equal_after_the_next_start(
    tmp_path: Path, point: str, side: str, kind: str
) -> None:
    for count, bars in ((1, 0), (2, 2), (1, 1)):
        assert die(tmp_path, point=point, side=side, kind=kind, count=count) == -signal.SIGKILL
        pass_bars(tmp_path, bars)
    go_on(tmp_path, 9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_session_killed_at_random_moments_has_equal_books_after_the_next_start(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")[: 1 + seed % 3]
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"F10": {"count": 0, "probability": 0.5, "parts": 3}}))
    more = ("--faults", str(faults)) if seed % 2 else ()
    for _ in range(6):
        die(tmp_path, *more, symbols=symbols, writes=chance.randint(1, 9), seconds=chance.expovariate(1 / 0.03))
        pass_bars(tmp_path, chance.choice((0, 0, 1, 3)))
    go_on(tmp_path, 9, *more, symbols=symbols)


AT_ONCE = """
import backtrader as bt

class AtOnce(bt.Strategy):
    filled = 0.0

    def next(self):
        if self.data.is_current:
            self.buy(size=0.001)

    def notify_order(self, order):
        if order.status == order.Completed:
            self.filled = round(self.filled + order.info.gross_size, 8)

    def state(self):
        return {"filled": self.filled}

    def restore(self, saved):
        self.filled = saved["filled"]
"""
# The first bar is not done before the process has died.
IN_ITS_FIRST_BAR = AT_ONCE.replace(
    "self.buy(size=0.001)",
    """self.buy(size=0.001)
            while not (Path(__file__).parent / "goes_on").exists():
                time.sleep(0.01)""",
).replace("import backtrader as bt", "import time\nfrom pathlib import Path\nimport backtrader as bt")


def test_a_session_killed_by_the_order_of_its_very_first_bar_starts_again(tmp_path: Path) -> None:
    (tmp_path / "at_once.py").write_text(IN_ITS_FIRST_BAR)
    more = ("--strategy", f"{tmp_path / 'at_once.py'}:AtOnce")
    assert die(tmp_path, *more, point="after the answer is kept", side="buy", kind="market", count=1) == -signal.SIGKILL
    assert bars_of(tmp_path, "one") == 0
    (tmp_path / "goes_on").touch()
    go_on(tmp_path, 4, *more)


@pytest.mark.parametrize("point", ["before the answer is kept", "after the answer is kept"])
def test_a_strategy_hears_after_the_next_start_of_fills_that_its_kept_state_does_not_know(tmp_path: Path, point: str) -> None:
    (tmp_path / "at_once.py").write_text(AT_ONCE)
    more = ("--strategy", f"{tmp_path / 'at_once.py'}:AtOnce")
    assert die(tmp_path, *more, point=point, side="buy", kind="market", count=3) == -signal.SIGKILL
    for bars in (4, 2):  # what is filled after the last bar of one start is heard at the next
        session = go_on(tmp_path, bars, *more)
        journal = Journal(tmp_path / "one" / "journal.db")
        executed = float(sum(e.size for e in journal.executions()))
        journal.close()
        after_the_last_bar = session.progress.strategy.analyzers.fills.frame()["size"].sum()
        assert session.progress.strategy.filled == pytest.approx(executed - after_the_last_bar)
    assert session.progress.start_equity == 10_000


def kill_exchange(folder: Path) -> None:
    """As `kill -9`, of the exchange that the killed session has left behind."""
    venue = find_practice(folder / "one" / "practice.json")
    assert venue is not None
    os.kill(venue.address.pid, signal.SIGKILL)
    until = time.monotonic() + PATIENCE_S
    while venue.is_alive() and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.parametrize(("point", "side", "kind"), QUICK)
def test_a_session_killed_together_with_its_practice_exchange_goes_on_with_equal_books(
    tmp_path: Path, point: str, side: str, kind: str
) -> None:
    assert die(tmp_path, point=point, side=side, kind=kind, count=1) == -signal.SIGKILL
    kill_exchange(tmp_path)
    go_on(tmp_path, 9)


def test_both_killed_in_the_very_first_bar_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "at_once.py").write_text(IN_ITS_FIRST_BAR)
    more = ("--strategy", f"{tmp_path / 'at_once.py'}:AtOnce")
    assert die(tmp_path, *more, point="after the answer is kept", side="buy", kind="market", count=1) == -signal.SIGKILL
    kill_exchange(tmp_path)
    assert bars_of(tmp_path, "one") == 0
    (tmp_path / "goes_on").touch()
    session = go_on(tmp_path, 4, *more)
    assert len(session.known["trades"]["trades"]) >= 1
    assert session.known["orders"]["orders"][0]["client_id"].startswith(run_prefix("one"))


def test_a_session_whose_practice_exchange_lost_its_state_says_so(tmp_path: Path) -> None:
    assert die(tmp_path, point="after the answer is kept", side="buy", kind="market", count=1) == -signal.SIGKILL
    kill_exchange(tmp_path)
    shutil.rmtree(tmp_path / "one" / "practice")
    with pytest.raises(StartRefused, match="another name"):
        go_on(tmp_path, 4)
