"""Our trainer against the ways in which others train a network of the same shape, fold by fold in turn.

    pip install torch
    python -m benchmarks.train [--data FILE] [--folds 3] [--epochs 6]

Everyone learns the same targets from the same candles and forecasts the same bars after the window. Ours counts whole folds as the command
runs them: first linear rule, training, calibration, forecasts. The others count their training epochs alone, compiled and with windows cut
beforehand; each window is as long as our network's context. On one core the time is the processor's own, on all cores that on the wall.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.training.case import case
from benchmarks.training.parts import matrix_peak, parts_table, update_parts
from benchmarks.training.worker import Contender, Worker
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.parallel.workers import cores

OURS: Final = "ours"
ASKED: Final = {"keras": 12.0, "torch": 8.0}
NAMES: Final = {"keras": "`keras.Model.fit`, jax", "torch": "torch `nn.LSTM`, `DataLoader`", "torch x": "the same, a process per core"}


@dataclass(frozen=True)
class Round:
    """What one fold gave: seconds per network, and losses out of sample after each epoch (ours: of each network), by contender."""

    seconds: Mapping[tuple[str, int], list[float]]
    losses: Mapping[str, list[float]]
    ours: Mapping[str, float]


def measure(said: argparse.Namespace) -> list[Round]:
    """All folds, each contender in its turn."""
    words = ["--folds", str(said.folds), "--units", str(said.units), "--seeds", str(said.seeds)]
    words += ["--data", str(said.data.resolve())] if said.data else []
    counts = {1} if said.one_core else {1, cores()}
    everyone = [Contender(kind, count) for count in sorted(counts) for kind in (OURS, "keras", "torch")]
    everyone += [Contender("torch", 1, cores())] if len(counts) > 1 else []
    workers = {one: [Worker(one, words) for _ in range(one.copies)] for one in everyone}
    try:
        return [_round(workers, number, said) for number in range(said.folds)]
    finally:
        for worker in (w for group in workers.values() for w in group):
            worker.stop()


def _round(workers: Mapping[Contender, Sequence[Worker]], number: int, said: argparse.Namespace) -> Round:
    seconds: dict[tuple[str, int], list[float]] = {}
    losses: dict[str, list[float]] = {}
    ours: dict[str, float] = {}
    for one, group in workers.items():
        # The losses are taken once, on one core; where many cores are timed, one epoch tells how long each takes.
        alone = one.cores == 1 and one.copies == 1
        for worker in group:
            worker.ask(fold=number, epochs=said.reach if alone else 1, wall=not alone, window=said.window, learning_rate=said.learning_rate)
        answers = [worker.answer() for worker in group]
        name = f"{one.kind} x" if one.copies > 1 else one.kind
        where = (name, one.cores * one.copies)
        seconds[where] = _per_network(answers, one, said.reach)
        if alone:
            losses[one.kind] = answers[0]["loss"]
            ours |= {key: answers[0][key] for key in ("together", "with_trees", "shipped") if key in answers[0]}
    return Round(seconds, losses, ours)


def _per_network(answers: Sequence[Mapping[str, Any]], one: Contender, epochs: int) -> list[float]:
    """Seconds per network after each epoch."""
    if one.kind == OURS:
        return [answers[0]["seconds"]]
    slowest = max(answers, key=lambda answer: answer["seconds"][-1])["seconds"]
    whole = slowest if len(slowest) == epochs else [slowest[0] * (n + 1) for n in range(epochs)]
    return [second / one.copies for second in whole]


def speed_table(rounds: Sequence[Round], epochs: int) -> str:
    """Seconds per network at equal targets seen, and how many times ours."""
    lines = ["| as many targets seen | one core, s | of ours | all cores, s | of ours | asked |", "|---|---|---|---|---|---|"]
    everywhere = f"{_middle(rounds, (OURS, cores())):.2f} | 1" if (OURS, cores()) in rounds[0].seconds else "- | -"
    lines.append(f"| ours, whole fold of networks | {_middle(rounds, (OURS, 1)):.2f} | 1 | {everywhere} | |")
    for name, title in NAMES.items():
        cells = []
        for count in (1, cores()):
            where = (name, count)
            known = all(where in r.seconds for r in rounds)
            ratio = statistics.median(r.seconds[where][epochs - 1] / r.seconds[OURS, count][0] for r in rounds) if known else 0.0
            cells.append(f"{_middle(rounds, where, epochs - 1):.2f} | {ratio:.1f}" if known else "- | -")
        lines.append(f"| {title} | {cells[0]} | {cells[1]} | {ASKED.get(name.split()[0], 0):.0f} |")
    return "\n".join(lines)


def _middle(rounds: Sequence[Round], where: tuple[str, int], epoch: int = 0) -> float:
    return statistics.median(r.seconds[where][epoch] for r in rounds)


def loss_table(rounds: Sequence[Round], zero: float) -> str:
    """Losses on the bars after the window, and what it costs the others to reach ours."""
    ours = np.array([np.mean(r.losses[OURS]) for r in rounds])
    lines = [
        "| loss on later bars, one network | after each epoch | best | above ours (standard error) | reaches ours after | s | of ours |",
        "|---|---|---|---|---|---|---|",
        f"| ours | | {ours.mean():.5f} | | | {_middle(rounds, (OURS, 1)):.2f} | 1 |",
    ]
    for name in ("keras", "torch"):
        curve = np.array([r.losses[name] for r in rounds])
        mean = curve.mean(axis=0)
        best = int(mean.argmin())
        above = curve[:, best] - ours
        error = above.std(ddof=1) / len(above) ** 0.5 if len(above) > 1 else float("nan")
        reached = int(np.argmax(mean <= ours.mean())) if (mean <= ours.mean()).any() else None
        ends = "never | - | -"
        if reached is not None:
            ratio = statistics.median(r.seconds[name, 1][reached] / r.seconds[OURS, 1][0] for r in rounds)
            ends = f"epoch {reached + 1} | {_middle(rounds, (name, 1), reached):.2f} | {ratio:.1f}"
        each = " ".join(f"{loss:.4f}" for loss in mean)
        lines.append(f"| {NAMES[name]} | {each} | {mean[best]:.5f} | {above.mean():+.5f} ({error:.5f}) | {ends} |")
    together, shipped = (np.mean([r.ours[key] for r in rounds]) for key in ("together", "shipped"))
    with_trees = statistics.median(r.ours["with_trees"] for r in rounds)
    lines.append(f"| the mean of our networks | | {together:.5f} | {together - ours.mean():+.5f} | | | |")
    difference = f"{shipped - ours.mean():+.5f}"
    ratio = with_trees / _middle(rounds, (OURS, 1))
    lines.append(f"| with the trees of the command | | {shipped:.5f} | {difference} | | {with_trees:.2f} | {ratio:.1f} |")
    lines.append(f"| no move at all | | {zero:.5f} | {zero - ours.mean():+.5f} | | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    usual = ModelSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="hourly candles of BTC/USDT; the sample market without")
    parser.add_argument("--folds", type=int, default=3, help="of the main job's calendar, evenly spread")
    parser.add_argument("--epochs", type=int, default=usual.epochs, help="of the others at equal targets seen")
    parser.add_argument("--reach", type=int, default=0, help="epochs within which the others may reach our loss (default: twice as many)")
    parser.add_argument("--window", type=int, default=usual.context, help="bars in one window of the others")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of the others (Adam, batches of 256)")
    parser.add_argument("--units", type=int, default=usual.units)
    parser.add_argument("--seeds", type=int, default=usual.seeds, help="networks of each of our folds")
    parser.add_argument("--one-core", action="store_true", help="leave out what many cores take: for a machine that others use")
    parser.add_argument("--peak-units", type=int, default=64, help="width at which one update is taken apart; 0 leaves it out")
    said = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("torch is one of those compared, and not installed here; pip install torch")
    said.reach = max(said.reach or 2 * said.epochs, said.epochs)
    given = case(said.data, said.folds, units=said.units, seeds=said.seeds)
    said.folds = len(given.folds)  # there may be fewer
    zero = float(np.mean([_zero_loss(given, number) for number in range(said.folds)]))
    rounds = measure(said)
    print(
        f"{platform.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f}; {said.folds} of {given.calendar_folds} folds in turn, "
        f"{said.units} units, {len(given.panel.names)} features, windows of {said.window}; medians of s per network\n"
    )
    print(speed_table(rounds, said.epochs) + "\n")
    print(loss_table(rounds, zero) + "\n")
    if said.peak_units:
        _print_parts(said)


def _zero_loss(given: Any, number: int) -> float:
    from benchmarks.training.case import huber

    truth = given.panel.targets[given.later_rows(number), 0]
    return float(huber(np.zeros_like(truth), truth, given.settings.huber_delta).mean())


def _print_parts(said: argparse.Namespace) -> None:
    """Take one update apart, on one core."""
    from forwardtrader.models.forecasters.xla import prepare_jax

    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    prepare_jax()
    peak = matrix_peak()
    print(f"{said.peak_units} units on one core; fp32 matrix peak of that core {peak:.0f} GFLOP/s, asked 45 % of it\n")
    print(parts_table(*update_parts(case(said.data, 2, units=said.peak_units)), peak))
    os.sched_setaffinity(0, everywhere)


if __name__ == "__main__":
    main()
