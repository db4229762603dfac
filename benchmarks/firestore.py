"""The mirror in Firestore: what a document costs whoever writes it, and how fast they leave: `python -m benchmarks.firestore --write`.

Appended are documents as a bar of a session leaves them, with three symbols, each in a transaction of its own. Then all of them are sent to
Google's emulator on this machine by the same queue as in a session; Firestore itself is further away, and takes more at once.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.command import ROOT
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import Body, StateStore, Urgency
from tests.live.firestore_emulator import awake, emulator_here

PAGE = ROOT / "benchmarks" / "firestore.md"
APPEND_P99_MS = 1.0
DRAIN_PER_S = 500.0
_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def document(number: int) -> Body:
    """As the collector makes one of a bar."""
    bar = {"open": 100.5, "high": 101.25, "low": 99.75, "close": 100.0 + number % 7, "volume": 1234.5678}
    forecast = {"horizon": 24, "location": 0.00123, "scale": 0.02, "q05": -0.03, "q25": -0.01, "q50": 0.0, "q75": 0.01, "q95": 0.03}
    return {
        "iteration": number, "timestamp": "2026-01-01T00:00:00+00:00", "at": 1_767_225_600_000 + number,
        "bars": dict.fromkeys(_SYMBOLS, bar),
        "predictions": {symbol: {**forecast, "p_up": 0.51, "model_id": "2026-01-01-0"} for symbol in _SYMBOLS},
        "decisions": [], "system_metrics": {"memory_mb": 512.3, "cpu_percent": 3.2, "iteration_ms": 4.1},
        "account": {"number": 739617.5, "equity": 10_000.0, "cash": 1_000.0}, "closes": dict.fromkeys(_SYMBOLS, 100.0),
        "blocked": {}, "late": {},
    }  # fmt: skip


def appended(store: StateStore, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the clock, and of this thread's processor time, that each document took."""
    took, worked = [], []
    for number in range(count):
        body = document(number)
        began, before = time.perf_counter(), time.thread_time()
        store.set(f"sessions/bench/trading_logs/{number:08d}", body, Urgency.LATER)
        took.append((time.perf_counter() - began) * 1e3)
        worked.append((time.thread_time() - before) * 1e3)
    return took, worked


def drained(store: StateStore, project: str) -> tuple[float, float]:
    """Documents a second, from the first to the last: of the clock, and of this process's processor time."""
    waiting, queue = store.lag().waiting, MirrorQueue(store, FirestoreMirror(project))
    began, before = time.perf_counter(), time.process_time()
    while queue.send_waiting():
        pass
    return waiting / (time.perf_counter() - began), waiting / (time.process_time() - before)


def main(argv: Sequence[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--documents", type=int, default=5_000)
    p.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = p.parse_args(argv)
    emulator = emulator_here()
    os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{emulator.port}"
    with TemporaryDirectory() as folder:
        store = StateStore(Path(folder) / "state.db")
        took, worked = appended(store, given.documents)
        emulator.start()
        try:
            awake()
            rate, own_rate = drained(store, "bench")
        finally:
            emulator.stop()
        store.close()
    text = table(given.documents, took, worked, rate, own_rate)
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    return 0 if np.percentile(took, 99) < APPEND_P99_MS and rate > DRAIN_PER_S else 1


def table(count: int, took: list[float], worked: list[float], rate: float, own_rate: float) -> str:
    p50, p99, most = (float(np.percentile(took, q)) for q in (50, 99, 100))
    own = float(np.percentile(worked, 99))
    return f"""# The mirror in Firestore

`python -m benchmarks.firestore --write`: {count:,} documents as a bar of a session with three symbols leaves them, about 1.5 kB each; sent
to Google's emulator on the same {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Appending is all that a session's output thread
waits for; nothing of it is in the way of an order.

| what | by the clock | processor time of ours | asked |
|---|---|---|---|
| append to the state store, median | {p50:.2f} ms | | |
| append to the state store, 99th percentile | {p99:.2f} ms | {own:.2f} ms | {APPEND_P99_MS:g} ms |
| append to the state store, longest | {most:.1f} ms | | |
| drain | {rate:,.0f} documents/s | {own_rate:,.0f} documents/s | {DRAIN_PER_S:,.0f} |
"""


if __name__ == "__main__":
    raise SystemExit(main())
