"""Folds on one worker and on two: threads, processes, Dask on loopback; and on paper, a hundred symbols on many machines.

    python -m benchmarks.scale [--data FILE] [--folds 8 48] [--rounds 1]

Throughput at work is counted from the moment at which every worker has given a result, so that imports and compilation stay out; that of
the whole run counts them, but one worker process is this one, and those of a cluster have been started. Where others use the machine, two
workers cannot have two cores: the last ratio says what two idle ones would give at work, by the processor time of a fold with one worker
and with two. Every fold learns from nothing.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import pickle
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import loop
from benchmarks.scaling.loopback_cluster import LoopbackCluster
from benchmarks.training.case import SYMBOL, Case, case
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.parallel.local_workers import Processes, Threads
from forwardtrader.models.parallel.workers import Workers, cores
from forwardtrader.strategies.replay import replay
from forwardtrader.strategies.replay_track import Tape

ASKED: Final = 1.8
MACHINES: Final = (1, 4, 16, 64)
SYMBOLS, POINTS, MACHINE_CORES = 100, 1000, 16
NETWORK: Final = 1e9 / 8  # bytes a second
DASK: Final = "Dask on loopback"


@dataclass(frozen=True)
class ScalePace:
    """Folds a second, and processor seconds a fold, once every worker is at work; and folds a second of the whole run."""

    folds: float
    cpu: float
    whole: float


@dataclass(frozen=True)
class ScaleCosts:
    """What the paper estimate rests on: seconds, and bytes."""

    fold: float
    point: float
    task: float
    shared: int
    result: int


def pace(workers: Workers, count: int, work: FoldWork, tasks: Sequence[FoldTask], cpu: Callable[[], float]) -> ScalePace:
    """Train every task; the clock of the work starts when every worker has given a result: by then each has imported and compiled."""
    places: set[tuple[int, int]] = set()
    started, ended, began, used, spent, left = time.perf_counter(), 0.0, 0.0, 0.0, 0.0, 0
    for _, (place, _) in workers.run(placed_fold, work, tasks):
        left += 1
        if place not in places and len(places) < count:
            places.add(place)
            began, used, left = time.perf_counter(), cpu(), 0
        ended, spent = time.perf_counter(), cpu()
    if len(places) < count or not left:
        raise SystemExit(f"{len(tasks)} folds are too few for {count} workers; give more with --folds")
    return ScalePace(left / (ended - began), (spent - used) / left, len(tasks) / (time.perf_counter() - started))


def placed_fold(work: FoldWork, task: FoldTask) -> tuple[tuple[int, int], Any]:
    """A fold, and the process and thread that trained it."""
    return (os.getpid(), threading.get_ident()), train_one(work, task)


def tasks_of(given: Case, count: int) -> list[FoldTask]:
    """As many tasks as asked, the folds of the case in turn."""
    settings = given.settings
    window = settings.train_window.days * 24 - fold_training.trimmed(settings)
    folds = [given.folds[number % len(given.folds)] for number in range(count)]
    return [FoldTask(fold, f"benchmark-{number}", fold_training.updates(settings, fold, window)) for number, fold in enumerate(folds)]


def measure(said: argparse.Namespace, given: Case, folder: Path) -> tuple[dict[tuple[str, int, int], list[ScalePace]], float]:
    """The paces of every kind of workers, in turn, and the seconds of one empty task on the cluster."""
    paces: dict[tuple[str, int, int], list[ScalePace]] = {}
    kinds = [(name, count) for name in ("threads", "processes", DASK) for count in (1, 2)]
    for number, (folds, (name, count)) in enumerate(itertools.product(said.folds * said.rounds, kinds)):
        here = folder / str(number)
        # What this process compiles it compiles each time; others share a folder.
        cache = None if name == "threads" or (name, count) == ("processes", 1) else here / "compiled"
        work = FoldWork(given.panel, given.settings, "1h", cache)
        with _at_work(name, count, here) as (workers, cpu):
            paces.setdefault((name, folds, count), []).append(pace(workers, count, work, tasks_of(given, folds), cpu))
    with _at_work(DASK, 2, folder / "empty") as (workers, _):
        began = time.perf_counter()
        empty = sum(1 for _ in workers.run(_nothing, None, range(said.empty)))
        return paces, (time.perf_counter() - began) / empty


@contextmanager
def _at_work(name: str, count: int, folder: Path) -> Iterator[tuple[Workers, Callable[[], float]]]:
    """Workers, and the processor seconds they used. A cluster is there only while it is measured: idle ones look after themselves too."""
    folder.mkdir()
    if name == DASK:
        with LoopbackCluster(folder / "cluster", count) as cluster:
            yield cluster.workers(), cluster.cpu
    elif name == "threads":
        yield Threads(count), time.process_time
    else:
        yield Processes(count), _family_cpu


def _nothing(_: Any, item: int) -> int:
    return item


def _family_cpu() -> float:
    """Processor seconds of this process, of the children it has now and of those that ended."""
    me = psutil.Process()
    return sum(me.cpu_times()[:4]) + sum(sum(child.cpu_times()[:2]) for child in me.children(recursive=True))


def table(paces: dict[tuple[str, int, int], list[ScalePace]]) -> str:
    """Medians as Markdown."""
    lines = [
        "| workers | folds | folds/s at work, one | two | throughput, asked 1.8 | of the whole run | processor s/fold, one | two"
        " | throughput on two idle cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, folds in dict.fromkeys((name, folds) for name, folds, _ in paces):
        one, two = paces[name, folds, 1], paces[name, folds, 2]
        pairs = list(zip(one, two, strict=True))
        walls = statistics.median(b.folds / a.folds for a, b in pairs)
        whole = statistics.median(b.whole / a.whole for a, b in pairs)
        idle = statistics.median(2 * a.cpu / b.cpu for a, b in pairs)
        rate = [statistics.median(p.folds for p in some) for some in (one, two)]
        cpu = [statistics.median(p.cpu for p in some) for some in (one, two)]
        cells = [f"{x:.2f}" for x in (*rate, walls, whole, *cpu, idle)]
        lines.append(f"| {name} | {folds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(given: Case, fold_s: float, task_s: float) -> ScaleCosts:
    """Measure a point and the sizes of what travels."""
    bars, forecasts = loop.market(32_000)
    took = []
    for _ in range(5):
        began = time.process_time()
        replay([Tape(bars=bars, forecasts=forecasts, market=loop.RULES, timeframe=loop.BAR, horizon=24)], loop.SETTINGS)
        took.append(time.process_time() - began)
    work = FoldWork(given.panel, given.settings, "1h", None)
    result = train_one(work, tasks_of(given, 1)[0])
    return ScaleCosts(fold_s, min(took), task_s, len(pickle.dumps(work, protocol=5)), len(pickle.dumps(result, protocol=5)))


def paper(known: ScaleCosts, folds: int) -> str:
    """The estimate with its arithmetic, as Markdown."""
    hours = 1 / 3600
    forecast, trade = SYMBOLS * folds * known.fold, SYMBOLS * POINTS * known.point
    models = POINTS * forecast
    lines = [
        f"{SYMBOLS} symbols x {POINTS:,} points, {folds} folds each, symbol after symbol, on machines of {MACHINE_CORES} such cores:\n",
        f"* one fold takes {known.fold:.2f} s of a core, one point of one symbol {known.point:.2f} s,",
        f"  the scheduler {known.task * 1e3:.1f} ms a task; a symbol is {known.shared / 1e6:.1f} MB for each worker,",
        f"  a fold sends {known.result / 1e6:.2f} MB back",
        f"* points that change decisions only: {SYMBOLS} x {folds} x {known.fold:.2f} s + {SYMBOLS} x {POINTS:,} x {known.point:.2f} s"
        f" = {forecast * hours:.1f} + {trade * hours:.1f} core hours",
        f"* points that change the model: {POINTS:,} x {SYMBOLS} x {folds} x {known.fold:.2f} s = {models * hours:,.0f} core hours\n",
        "| machines | decisions only, minutes: all | computing | sending | tasks | models too, hours: all | computing | sending | tasks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for machines in MACHINES:
        count = machines * MACHINE_CORES
        # To the scheduler, to a first worker, and on from worker to worker, each handing on what it has.
        sending = SYMBOLS * known.shared / NETWORK * (2 + math.log2(count))
        few = ((forecast + trade) / count, sending, SYMBOLS * (folds + POINTS) * known.task)
        back = POINTS * SYMBOLS * folds * known.result / NETWORK
        many = (models / count, sending + back, POINTS * SYMBOLS * folds * known.task)
        cells = [f"{x / 60:.1f}" for x in (sum(few), *few)] + [f"{x / 3600:.1f}" for x in (sum(many), *many)]
        lines.append(f"| {machines} | " + " | ".join(cells) + " |")
    lines.append(
        "\nSending (1 Gbit/s) and the scheduler's tasks are counted as if nothing were computed meanwhile. Where they come near it, "
        "more machines no longer help: the network at the scheduler and its one Python process are the limit, and a scheduler for each "
        "group of symbols lifts it."
    )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="hourly candles of BTC/USDT; the sample market without")
    parser.add_argument("--folds", type=int, nargs="+", default=[8, 48], help="folds trained per measurement")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--empty", type=int, default=500, help="empty tasks handed out")
    said = parser.parse_args()
    given = case(said.data, 4, units=ModelSettings().units, seeds=ModelSettings().seeds)
    with tempfile.TemporaryDirectory() as folder:
        paces, task_s = measure(said, given, Path(folder))
        known = costs(given, statistics.median(p.cpu for p in paces["threads", said.folds[-1], 1]), task_s)
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {cores()} cores, load {load:.1f}; folds of {SYMBOL}, {said.rounds} rounds in turn\n")
    print(table(paces) + "\n")
    print(paper(known, given.calendar_folds))


if __name__ == "__main__":
    main()
