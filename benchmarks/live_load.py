"""What a live session costs its machine: `python -m benchmarks.live_load --symbols 20 --bars 300`.

A paper session runs on the practice exchange and notes its memory at every bar. Printed are processor time for each bar once the session
is under way (as a share of one core, had the bar been a minute long; at real time as a share of the time that passed), the growth of
memory, and what the process costs that writes its tables and page. Forecasts need no training unless `--networks` is given; then models of
the usual size are trained at the start.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil
from rich.console import Console
from rich.table import Table

from forwardtrader.core.clock import SystemClock
from forwardtrader.feeds.history.sample_market import listed_symbols
from forwardtrader.live.monitoring.status import RunningSession
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.writer import shared_writer
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from tests.live.session_runner import Momentum

_SETTLED = 0.3  # of the bars: before that, caches fill
_UNDER_WAY = 5  # bars: before that, everything is done for the first time


class Meter(SessionView):
    """Shows nothing, and notes bars, processor time and the clock whenever the session is between two bars."""

    def __init__(self) -> None:
        super().__init__(Console(), shown=False)
        self._process = psutil.Process()
        self.began: tuple[int, float, float] | None = None
        self.ended: tuple[int, float, float] = (0, 0.0, 0.0)

    def show(self, session: RunningSession) -> None:
        bars = session.progress.bars
        if bars < _UNDER_WAY or bars == self.ended[0]:
            return
        self.ended = (bars, sum(self._process.cpu_times()[:2]), time.monotonic())
        self.began = self.began or self.ended

    def per_bar(self) -> tuple[float, float]:
        """Seconds of processor time a bar, and the share of one core in all the time that passed."""
        bars, cpu, passed = (b - a for a, b in zip(self.began or self.ended, self.ended, strict=True))
        return cpu / max(1, bars), cpu / max(passed, 1e-9)


def main(argv: list[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    symbols = tuple(s for s in listed_symbols() if s.endswith("/USDT"))[: given.symbols]
    with TemporaryDirectory() as folder:
        meter = Meter()
        usage = _lived(_request(Path(folder), given, symbols), meter, networks=given.networks)
    if given.csv is not None:
        usage.to_csv(given.csv, index=False)
    _say(len(symbols), usage, meter, real=given.speed == "1")
    return 0


def _request(folder: Path, given: argparse.Namespace, symbols: tuple[str, ...]) -> LiveRequest:
    words = ["--sandbox", "--quiet", "--session", "load", "--timeframe", given.timeframe, "--speed", given.speed, "--bars", str(given.bars)]
    settings = [f"live.sessions_path={folder}", f"live.state_path={folder / 'state.db'}", f"models.save_path={folder / 'models'}"]
    for setting in (*settings, "models.train_window=10d", "models.retrain_every=5d", *given.set):
        words += ["--set", setting]
    for symbol in symbols:
        words += ["--symbol", symbol]
    return read_request(words)


def _lived(request: LiveRequest, meter: Meter, *, networks: bool) -> pd.DataFrame:
    supply = None if networks else FixedSupply({symbol: Momentum() for symbol in request.symbols})
    LiveSession(request, SystemClock(), meter, supply=supply).run()
    store = SessionStore(request.folder / "session.db")
    usage = store.usage()
    store.close()
    return usage


def _say(symbols: int, usage: pd.DataFrame, meter: Meter, *, real: bool) -> None:
    settled = usage["memory_mb"].iloc[int(len(usage) * _SETTLED) :]
    growth = settled.iloc[-1] - settled.iloc[0]
    cpu, share = meter.per_bar()
    table = Table("symbols", "bars", "CPU ms a bar", "% of a core", "memory MB", "growth KB a bar", "writing: CPU s", "MB of its own")
    table.add_row(
        str(symbols), str(len(usage)), f"{cpu * 1e3:.0f}", f"{(share if real else cpu / 60) * 100:.2f}", f"{settled.iloc[-1]:.0f}",
        f"{growth * 1e3 / len(settled):.2f}", *_beside(),
    )  # fmt: skip
    console = Console(highlight=False)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    console.print(table)


def _beside() -> tuple[str, str]:
    """Processor time of the process that writes with all its children, and what it keeps in memory between two writings."""
    pid = shared_writer().pid
    if pid is None:
        return "none", "none"
    process = psutil.Process(pid)
    return f"{sum(process.cpu_times()[:4]):.1f}", f"{process.memory_full_info().uss / 1e6:.0f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--symbols", type=int, default=20, help="of the sample market, at most all of them")
    parser.add_argument("--bars", type=int, default=300)
    parser.add_argument("--timeframe", default="1h", help="shorter bars let a session run longer: the sample market has 90 days of them")
    parser.add_argument("--speed", default="lockstep", help="of the practice exchange; 1 for real time")
    parser.add_argument("--networks", action="store_true", help="forecasts of trained models")
    parser.add_argument("--set", action="append", default=[], metavar="room.key=value", help="one setting; repeatable")
    parser.add_argument("--csv", type=Path, help="write memory, CPU share and milliseconds of every bar there")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
