"""One contender of `benchmarks.train` in a process of its own: it reads which fold to train, writes time and losses."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import QUIET, ROOT
from benchmarks.training.case import SYMBOL, Case, case, huber
from benchmarks.training.rivals import Clock, Epochs, Task, cut_windows, keras_epochs, torch_epochs
from forwardtrader.core.settings import ModelSettings


@dataclass(frozen=True)
class Contender:
    """Who trains, on how many cores, by how many networks at once."""

    kind: str
    cores: int
    copies: int = 1


class Worker:
    """The process of one contender; it works while it is asked, and waits otherwise."""

    def __init__(self, contender: Contender, words: list[str]) -> None:
        self.contender = contender
        command = [sys.executable, "-m", "benchmarks.training.worker", contender.kind, "--cores", str(contender.cores), *words]
        environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for what was asked.

        Raises:
            SystemExit: the contender ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.contender} ended with {self._process.wait()}")
        return dict(json.loads(line))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Ours:
    """`models.folds.training`, as the command runs it: whole folds, one per thread."""

    def __init__(self, given: Case, cores: int) -> None:
        from forwardtrader.models.folds.work import FoldWork

        self.case, self.cores = given, cores
        self.cache = tempfile.TemporaryDirectory()
        self.work = FoldWork(given.panel, given.settings, "1h", Path(self.cache.name))
        shipped = given.settings.model_copy(update={"trees": ModelSettings().trees})
        self.whole = FoldWork(given.panel, shipped, "1h", Path(self.cache.name))
        self.train(0)  # compiles

    def train(self, number: int) -> dict[str, Any]:
        """Seconds per network, its losses, and both for whole folds with the trees that the command adds to the networks."""
        seconds, each, together = self._train(self.work, number)
        with_trees, _, shipped = self._train(self.whole, number)
        return {"seconds": seconds, "loss": each, "together": together, "with_trees": with_trees, "shipped": shipped}

    def _train(self, work: Any, number: int) -> tuple[float, list[float], float]:
        """As many equal folds as there are cores, side by side: seconds per network, the loss of each network and of their mean."""
        from forwardtrader.models.folds.training import seeds, updates
        from forwardtrader.models.folds.work import FoldTask, train_one
        from forwardtrader.models.parallel.local_workers import Threads

        settings, fold, clock = self.case.settings, self.case.folds[number], clock_of(self.cores)
        window = settings.train_window.days * 24 - max(settings.horizons) - settings.embargo
        task = FoldTask(fold, "benchmark", updates(settings, fold, window))
        began = clock()
        results = [result for _, result in Threads(self.cores).run(train_one, work, [task] * self.cores)]
        seconds = clock() - began
        rows, raw = self.case.later_rows(number), results[0].raw[SYMBOL][..., 0, 0]
        said = raw[rows - self.case.fold(number).effective_first]
        members = len(seeds(settings))
        each = [self._loss(said[:, m], rows) for m in range(members)]
        return seconds / (self.cores * members), each, self._loss(said.mean(axis=1), rows)

    def _loss(self, location: Any, rows: Any) -> float:
        return float(huber(location, self.case.panel.targets[rows, 0], self.case.settings.huber_delta).mean())


def clock_of(cores: int) -> Clock:
    """On one core the processor's own time, which a busy machine does not stretch; else the time on the wall."""
    return time.process_time if cores == 1 else time.perf_counter


def rival(kind: str, cores: int, given: Case, number: int, order: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds after each epoch, and the loss out of sample after each epoch."""
    settings, features, truth = given.settings, given.scaled(number), given.panel.targets
    rows, later = given.train_rows(number), given.later_rows(number)
    rows = rows[np.isfinite(truth[rows]).all(axis=1) & (rows >= order["window"])]
    task = Task(
        windows=cut_windows(features, rows, order["window"]), targets=truth[rows], later=cut_windows(features, later, order["window"]),
        units=settings.units, dropout=settings.dropout, delta=settings.huber_delta, learning_rate=order["learning_rate"],
        epochs=order["epochs"], seed=number,
    )  # fmt: skip
    clock = time.perf_counter if order["wall"] else clock_of(cores)
    epochs: Epochs = keras_epochs(task, clock) if kind == "keras" else torch_epochs(task, cores, clock)
    out = [(seconds, float(huber(said, truth[later, 0], settings.huber_delta).mean())) for seconds, said in epochs]
    return {"seconds": [seconds for seconds, _ in out], "loss": [loss for _, loss in out]}


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("ours", "keras", "torch"))
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folds", type=int, required=True)
    parser.add_argument("--units", type=int, required=True)
    parser.add_argument("--seeds", type=int, required=True)
    said = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: said.cores])
    given = case(said.data, said.folds, units=said.units, seeds=said.seeds)
    ours = Ours(given, said.cores) if said.kind == "ours" else None
    for line in sys.stdin:
        order = json.loads(line)
        number = order["fold"]
        answer = ours.train(number) if ours else rival(said.kind, said.cores, given, number, order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
