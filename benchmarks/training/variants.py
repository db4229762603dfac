"""Other ways to train the same folds: all seeds in one call, and an early stop; what each costs and what it forecasts.

    python -m benchmarks.training.variants [--data FILE] [--folds 12]

On one core, in turn, fold by fold. Every network learns from nothing. An early stop keeps the last tenth of the window back, trains on the
rest for one pass, two, ... up to the usual number, and takes the number that forecasts what was kept back best.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.training.case import Case, case, huber
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.sequences import draw_starts, updates_per_fold
from forwardtrader.models.folds.training import lstm_spec, scaling, seeds, training_segments, training_spec
from forwardtrader.models.forecasters.linear_start import linear_start
from forwardtrader.models.forecasters.lstm import Ensemble, Weights, predict
from forwardtrader.models.forecasters.trainer import Trainer, _train, initial_weights
from forwardtrader.models.forecasters.xla import compiled, placed

KEPT_BACK: Final = 0.1


@dataclass(frozen=True)
class Lesson:
    """What one fold's networks learn from."""

    segments: list[tuple[int, int]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    rule: Mapping[str, NDArray[np.float32]]


class Bench:
    """One trainer for all variants."""

    def __init__(self, given: Case) -> None:
        self.case, self.settings = given, given.settings
        self.spec = training_spec(self.settings)
        self.trainer = Trainer(lstm_spec(self.settings, len(given.panel.names)), self.spec, given.panel.features, given.panel.targets)
        self._together: dict[int, Any] = {}

    def lesson(self, segments: list[tuple[int, int]]) -> Lesson:
        panel, rows = self.case.panel, np.concatenate([np.arange(first, last) for first, last in segments])
        mean, std = scaling(panel.features, segments)
        ridge, delta = self.settings.linear_ridge, self.settings.huber_delta
        return Lesson(segments, mean, std, linear_start(panel.features[rows], panel.targets[rows], mean, std, ridge=ridge, delta=delta))

    def updates(self, lesson: Lesson, epochs: int) -> int:
        rows = sum(last - first for first, last in lesson.segments)
        return updates_per_fold(rows, stride=self.spec.supervised, batch=self.spec.batch, epochs=epochs)

    def starts(self, lesson: Lesson, updates: int, seed: int) -> NDArray[np.int32]:
        length, stride, batch = self.spec.length, self.spec.supervised, self.spec.batch
        return draw_starts(lesson.segments, length=length, stride=stride, batch=batch, updates=updates, seed=seed)

    def loss(self, lesson: Lesson, members: Sequence[Weights], rows: NDArray[np.int64]) -> list[float]:
        """Of each network on `rows`, first horizon."""
        raw = predict(Ensemble(self.trainer.spec, lesson.mean, lesson.std, tuple(members)), self.case.panel.features, rows)
        truth = self.case.panel.targets[rows, 0]
        return [float(huber(raw[:, m, 0, 0], truth, self.settings.huber_delta).mean()) for m in range(len(members))]

    # Variants

    def one_by_one(self, number: int) -> tuple[Lesson, list[Weights]]:
        """As the command does it."""
        lesson = self.lesson(training_segments(self.case.panel, self.case.folds[number], self.spec))
        return lesson, self._fitted(lesson, self.settings.epochs)

    def in_one_call(self, number: int) -> tuple[Lesson, list[Weights]]:
        """The same updates of all seeds, side by side in every matrix product."""
        import jax

        lesson = self.lesson(training_segments(self.case.panel, self.case.folds[number], self.spec))
        count, drawn = self.updates(lesson, self.settings.epochs), seeds(self.settings)
        first = [initial_weights(self.trainer.spec, seed) | dict(lesson.rule) for seed in drawn]
        given = (
            {name: np.stack([weights[name] for weights in first]) for name in first[0]},
            np.stack([self.starts(lesson, count, seed) for seed in drawn]),
            np.stack([self.trainer._noise(count, count, seed) for seed in drawn]),
        )
        averaged_from = np.int32(min(int((1 - self.spec.averaged) * count), count - 1))
        steps = (np.int32(count), np.float32(self.spec.learning_rate), averaged_from)
        weights, starts, noise, mean, std, *rest = placed((*given, lesson.mean, lesson.std, *steps))
        arguments = (weights, self.trainer._features, self.trainer._targets, starts, mean, std, noise, *rest)
        if count not in self._together:
            shape: Any = jax.ShapeDtypeStruct
            shapes = jax.tree.map(lambda x: shape(x.shape, x.dtype), arguments)
            run = functools.partial(_train, spec=self.trainer.spec, training=self.spec)
            self._together[count] = compiled(jax.vmap(run, (0, None, None, 0, None, None, 0, None, None, None)), *shapes)
        trained = jax.tree.map(np.asarray, self._together[count](*arguments)[0])
        return lesson, [{name: value[m] for name, value in trained.items()} for m in range(len(drawn))]

    def early_stop(self, number: int) -> tuple[Lesson, list[Weights]]:
        """The number of passes that did best on the last tenth of the window."""
        [(first, last)] = training_segments(self.case.panel, self.case.folds[number], self.spec)
        cut = last - round(KEPT_BACK * (last - first))
        lesson, kept_back = self.lesson([(first, cut)]), np.arange(cut + max(self.settings.horizons), last)
        tried = [self._fitted(lesson, epochs) for epochs in range(1, self.settings.epochs + 1)]
        return lesson, min(tried, key=lambda members: float(np.mean(self.loss(lesson, members, kept_back))))

    def _fitted(self, lesson: Lesson, epochs: int) -> list[Weights]:
        count = self.updates(lesson, epochs)
        room = max(count, self.updates(lesson, self.settings.epochs))
        fits = (
            self.trainer.fit(self.starts(lesson, count, seed), lesson.mean, lesson.std, seed=seed, first=lesson.rule, room=room)
            for seed in seeds(self.settings)
        )
        return [fit.weights for fit in fits]


def measure(bench: Bench) -> dict[str, list[tuple[float, float]]]:
    """Processor seconds a network and the mean loss on later bars, fold by fold."""
    variants: dict[str, Callable[[int], tuple[Lesson, list[Weights]]]] = {
        "one network after the other": bench.one_by_one, "all seeds in one call": bench.in_one_call, "early stop": bench.early_stop,
    }  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for variant in variants.values():
        variant(0)  # compiles
    for number in range(len(bench.case.folds)):
        for name, variant in variants.items():
            began = time.process_time()
            lesson, members = variant(number)
            took = (time.process_time() - began) / len(members)
            found[name].append((took, float(np.mean(bench.loss(lesson, members, bench.case.later_rows(number))))))
    return found


def table(found: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Medians of the time, means of the loss, and both against the first variant."""
    lines = ["| | s per network | of the first | loss on later bars | above the first (standard error) |", "|---|---|---|---|---|"]
    first = np.array(next(iter(found.values())))
    for name, rounds in found.items():
        own = np.array(rounds)
        above = own[:, 1] - first[:, 1]
        ratio = statistics.median(own[:, 0] / first[:, 0])
        error = above.std(ddof=1) / len(above) ** 0.5 if len(above) > 1 else float("nan")
        lines.append(f"| {name} | {np.median(own[:, 0]):.3f} | {ratio:.2f} | {own[:, 1].mean():.5f} | {above.mean():+.5f} ({error:.5f}) |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="hourly candles of BTC/USDT; the sample market without")
    parser.add_argument("--folds", type=int, default=12, help="of the main job's calendar, evenly spread")
    said = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    usual = ModelSettings()
    given = case(said.data, said.folds, units=usual.units, seeds=usual.seeds)
    found = measure(Bench(given))
    print(f"{platform.machine()}, one core; {len(given.folds)} of {given.calendar_folds} folds, {usual.seeds} seeds\n")
    print(table(found))


if __name__ == "__main__":
    main()
