"""What a live session costs its machine: `python -m benchmarks.live_load --symbols 20 --bars 300`.

A paper session runs on the practice exchange in lockstep, with forecasts that need no training, and notes its memory at every bar. Printed
are processor time for each bar (as a share of one core, had the bar been a minute long) and the growth of memory.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from rich.console import Console
from rich.table import Table

from feeds.sample_market import listed_symbols
from live.session_store import SessionStore
from tests.live.session_runner import request_for, run

_SETTLED = 0.3  # of the bars: before that, caches fill


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--symbols", type=int, default=20, help="of the sample market, at most all of them")
    parser.add_argument("--bars", type=int, default=300)
    parser.add_argument("--timeframe", default="1h", help="shorter bars let a session run longer: the sample market has 90 days of them")
    parser.add_argument("--speed", default="lockstep", help="of the practice exchange; 1 for real time")
    parser.add_argument("--csv", type=Path, help="write memory, CPU share and milliseconds of every bar there")
    given = parser.parse_args(argv)
    symbols = tuple(s for s in listed_symbols() if s.endswith("/USDT"))[: given.symbols]
    with TemporaryDirectory() as folder:
        before = sum(psutil.Process().cpu_times()[:2])
        flags = ("--timeframe", given.timeframe, "--speed", given.speed)
        run(request_for(Path(folder), "load", given.bars, *flags, symbols=symbols))
        spent = sum(psutil.Process().cpu_times()[:2]) - before
        store = SessionStore(Path(folder) / "load" / "session.db")
        usage = store.usage()
        store.close()
    if given.csv is not None:
        usage.to_csv(given.csv, index=False)
    settled = usage["memory_mb"].iloc[int(len(usage) * _SETTLED) :]
    growth = settled.iloc[-1] - settled.iloc[0]
    table = Table("symbols", "bars", "CPU ms a bar", "% of a core at 1m", "memory MB", "growth KB a bar")
    table.add_row(
        str(len(symbols)), str(len(usage)), f"{spent / len(usage) * 1e3:.0f}", f"{spent / len(usage) / 60 * 100:.2f}",
        f"{settled.iloc[-1]:.0f}", f"{growth * 1e3 / len(settled):.1f}",
    )  # fmt: skip
    console = Console(highlight=False)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    console.print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
