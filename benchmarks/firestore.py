"""The mirror in Firestore: what a document costs whoever writes it, and how fast they leave: `python -m benchmarks.firestore --write`.

Appended are documents as a bar of a session leaves them, with three symbols, each in a transaction of its own, while the queue sends what
was appended before; threads take turns as often as in a session. Then as many are sent by the same queue to Google's emulator on this
machine; Firestore itself is further away, and takes more at once. At last sessions with real orders on the practice exchange trade with the
mirror and without it, side by side in processes of their own, while Firestore is up, down, hung, slow, and wiped in the middle: both meet
the same machine, emulator included, and the ways of their orders are compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TypeAlias

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.command import ROOT
from benchmarks.latency import measure
from forwardtrader.live.bridge.venue_thread import SWITCH_S
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import Body, StateStore, Urgency
from tests.live.firestore_emulator import Emulator, awake, deaf, emulator_here, free_port, slow_way

PAGE = ROOT / "benchmarks" / "firestore.md"
APPEND_P99_MS = 1.0
DRAIN_PER_S = 500.0
_PER_SECOND = 5.0
_PAUSE_S = 0.003  # between two documents: three hundred a second, more than a session ever has
_WARM_UP = 20  # bars
STATES = ("up", "down", "hung", "slow", "wiped")
NEITHER = "(neither has one)"
Pair: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
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


def appended(store: StateStore, count: int, pause_s: float = 0.0) -> tuple[list[float], list[float]]:
    """Milliseconds of the clock, and of this thread's processor time, that each document took."""
    took, worked = [], []
    for number in range(count):
        body = document(number)
        began, before = time.perf_counter(), time.thread_time()
        store.set(f"sessions/bench/trading_logs/{number:08d}", body, Urgency.LATER)
        took.append((time.perf_counter() - began) * 1e3)
        worked.append((time.thread_time() - before) * 1e3)
        time.sleep(pause_s)
    return took, worked


def appended_beside_the_sender(store: StateStore, project: str, count: int) -> tuple[list[float], list[float]]:
    """As `appended`, while a queue in this process sends each document as soon as it is there."""
    queue = MirrorQueue(store, FirestoreMirror(project), every_s=0.1)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    queue.start()
    try:
        return appended(store, count, _PAUSE_S)
    finally:
        queue.stop(60.0)
        sys.setswitchinterval(usual)


@dataclass(frozen=True)
class Drain:
    """Documents sent in so many seconds by the clock, of which this process and the emulator worked so many; it may be both at once."""

    documents: int
    seconds: float
    ours_s: float
    emulator_s: float

    @property
    def rate(self) -> float:
        return self.documents / self.seconds


def drained(store: StateStore, project: str, emulator: int) -> Drain:
    """Send everything that waits; `emulator` is its process id."""
    waiting, queue, there = store.lag().waiting, MirrorQueue(store, FirestoreMirror(project)), psutil.Process(emulator)
    began, before, worked = time.perf_counter(), time.process_time(), sum(there.cpu_times()[:2])
    while queue.send_waiting():
        pass
    return Drain(waiting, time.perf_counter() - began, time.process_time() - before, sum(there.cpu_times()[:2]) - worked)


@contextmanager
def firestore_that_is(state: str, emulator: Emulator, project: str, half_s: float) -> Iterator[int]:
    """The port of a Firestore in that state; one that is to be wiped is so after `half_s`."""
    with ExitStack() as stack:
        if state == "hung":
            yield stack.enter_context(deaf())
        elif state == "slow":
            yield stack.enter_context(slow_way(emulator.port, 2.0))
        else:
            if state == "wiped":
                timer = Timer(half_s, emulator.wipe, [project])
                timer.start()
                stack.callback(timer.cancel)
            yield free_port() if state == "down" else emulator.port


def order_ways(emulator: Emulator, bars: int, rounds: int) -> dict[str, Pair]:
    """By the state of Firestore: milliseconds from a closed bar heard to its order handed to the HTTP client, with the mirror and without,
    side by side."""
    found: dict[str, list[Pair]] = {state: [] for state in (*STATES, NEITHER)}
    with TemporaryDirectory() as models, ProcessPoolExecutor(2, get_context("spawn")) as side_by_side:
        _ways(2, models)  # trains
        for number, state in product(range(rounds), found):
            project = "" if state is NEITHER else f"bench-{state}-{number}"
            with firestore_that_is(state, emulator, project, bars / _PER_SECOND / 2) as port:
                with_it = side_by_side.submit(_ways, bars, models, project, port)
                without = side_by_side.submit(_ways, bars, models)
                found[state].append((with_it.result()[_WARM_UP:], without.result()[_WARM_UP:]))
    return {state: (np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])) for state, pairs in found.items()}


def _ways(bars: int, models: str, project: str = "", port: int = 0) -> NDArray[np.float64]:
    os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{port}"
    more = (f"live.firestore_project={project}", "live.firestore_writes_per_day=0") if project else ()
    return measure(bars, _PER_SECOND, models=Path(models), more=more).ours


def main(argv: Sequence[str] | None = None) -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--documents", type=int, default=5_000)
    p.add_argument("--bars", type=int, default=300, help="of each session")
    p.add_argument("--rounds", type=int, default=3, help="pairs of sessions in each state of Firestore; 0 for none")
    p.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = p.parse_args(argv)
    emulator = emulator_here()
    os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{emulator.port}"
    emulator.start()
    try:
        awake()
        with TemporaryDirectory() as folder, closing(StateStore(Path(folder) / "state.db")) as store:
            took, worked = appended_beside_the_sender(store, "beside", given.documents)
            store.requeue(store.names())
            drain = drained(store, "bench", emulator.pid)
        ways = order_ways(emulator, given.bars, given.rounds) if given.rounds else {}
    finally:
        emulator.stop()
    text = table(took, worked, drain) + (ways_table(given.bars, ways) if ways else "")
    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    return 0 if np.percentile(took, 99) < APPEND_P99_MS and drain.rate > DRAIN_PER_S else 1


def table(took: list[float], worked: list[float], drain: Drain) -> str:
    p50, p99, most = (float(np.percentile(took, q)) for q in (50, 99, 100))
    own, count = float(np.percentile(worked, 99)), drain.documents
    limit = "the emulator" if drain.emulator_s > drain.ours_s else "this program"
    return f"""# The mirror in Firestore

`python -m benchmarks.firestore --write`: {count:,} documents as a bar of a session with three symbols leaves them, about 1.5 kB each; sent
to Google's emulator on the same {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, niceness {os.nice(0)}. Appended is while the queue
sends, some 300 a second. That is all that a session's output thread waits for, and nothing of it is in the way of an order.

| what | by the clock | processor time of ours | asked |
|---|---|---|---|
| append to the state store, median | {p50:.2f} ms | | |
| append to the state store, 99th percentile | {p99:.2f} ms | {own:.2f} ms | {APPEND_P99_MS:g} ms |
| append to the state store, longest | {most:.1f} ms | | |
| drain | {drain.rate:,.0f} documents/s | {count / drain.ours_s:,.0f} documents/s | {DRAIN_PER_S:,.0f} |

Of the {drain.seconds:.1f} s of the drain this program worked {drain.ours_s:.1f} s and the emulator {drain.emulator_s:.1f} s:
what limits it is {limit}, as far as it is not what else runs on the machine.
"""


def ways_table(bars: int, ways: dict[str, Pair]) -> str:
    real = [ways[state] for state in STATES]
    together = (np.concatenate([with_it for with_it, _ in real]), np.concatenate([without for _, without in real]))
    parts = {**{state: ways[state] for state in STATES}, "all together": together, NEITHER: ways[NEITHER]}
    rows = "\n".join(_row(state, *pair) for state, pair in parts.items())
    return f"""
From a closed bar that was heard to its order handed to the HTTP client, in sessions of {bars} bars, {_PER_SECOND:g} a second, an order
at every bar, with the mirror / without it, side by side. Slow is an answer after two seconds; wiped is a database emptied in the middle.
Asked for at the 99th percentile: within 10 %. The last row is two sessions without a mirror: what the machine alone makes of it.

| Firestore is | orders | p50 | p95 | p99 | p99 differs by |
|---|---|---|---|---|---|
{rows}
"""


def _row(state: str, with_it: NDArray[np.float64], without: NDArray[np.float64]) -> str:
    quantiles = [(float(np.percentile(with_it, q)), float(np.percentile(without, q))) for q in (50, 95, 99)]
    cells = " | ".join(f"{a:.1f} / {b:.1f} ms" for a, b in quantiles)
    a, b = quantiles[-1]
    return f"| {state} | {len(with_it):,} / {len(without):,} | {cells} | {100 * (a / b - 1):+.0f} % |"


if __name__ == "__main__":
    raise SystemExit(main())
