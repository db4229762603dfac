"""`python -m tests.live.session_runner FOLDER NAME BARS [SYMBOLS] [flags]`: a session without training, in a process of its own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.command.cli import end_well
from forwardtrader.core.types import Forecast
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.models.forecaster import forecast_at, normal_frame
from tests import PATIENCE_S
from tests.processes import begin

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
SETTINGS = ("models.train_window=10d", "models.retrain_every=5d", "models.horizons=[1,24]", "strategies.cooldown=2")


class Momentum:
    """What rose over five bars goes on rising: element by element, so that one bar equals the whole history to the last bit."""

    horizon, warm_up = 24, 30

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        close = bars["close"].to_numpy(dtype=np.float64)
        location = np.full(len(close), np.nan)
        location[self.warm_up - 1 :] = (close[self.warm_up - 1 :] / close[self.warm_up - 6 : len(close) - 5] - 1.0) * 3.0
        return normal_frame(bars.index, location, np.where(np.isnan(location), np.nan, 0.02), "momentum")

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        last = bars.iloc[-self.warm_up :]
        return forecast_at(self.batch(last), len(last) - 1, self.horizon)


def request_for(folder: Path, name: str, bars: int, *flags: str, symbols: tuple[str, ...] = SYMBOLS) -> LiveRequest:
    words = ["--sandbox", "--speed", "lockstep", "--session", name, "--quiet", "--set", f"live.sessions_path={folder}"]
    words += ["--set", f"live.state_path={folder / 'state.db'}", *flags]
    for symbol in symbols:
        words += ["--symbol", symbol]
    for setting in SETTINGS:
        words += ["--set", setting]
    return read_request([*words, *(["--bars", str(bars)] if bars else [])])


def run(request: LiveRequest) -> int:
    supply = FixedSupply({symbol: Momentum() for symbol in request.symbols})
    return LiveSession(request, SystemClock(), SessionView(Console(), shown=False), supply=supply).run()


def start(folder: Path, name: str, bars: int, *flags: str, symbols: tuple[str, ...] = SYMBOLS) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.live.session_runner", str(folder), name, str(bars), ",".join(symbols), *flags]
    return begin(words)


def bars_of(folder: Path, name: str) -> int:
    try:
        with sqlite3.connect(f"file:{folder / name / 'session.db'}?mode=ro", uri=True) as store:
            return int(store.execute("select count(distinct at) from bars").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def wait_for_bars(folder: Path, name: str, count: int, process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while bars_of(folder, name) < count:
        assert time.monotonic() < until, "the session does not move"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


if __name__ == "__main__":
    where, called, count, *more = sys.argv[1:]
    traded = tuple(more.pop(0).split(",")) if more and not more[0].startswith("-") else SYMBOLS
    sys.exit(end_well(lambda: run(request_for(Path(where), called, int(count), *more, symbols=traded))))
