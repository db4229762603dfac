"""Where the time of one update goes, and what share of one core's matrix peak it reaches.

Each part is compiled and timed by itself on the trainer's shapes, and what an update takes beyond their sum is named too. Only matrix
products count as work: gates, loss and optimiser move memory and bend numbers, which the peak knows nothing of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.training.case import SYMBOL, Case
from forwardtrader.core.threads import one_thread
from forwardtrader.models.features.sequences import draw_starts
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.forecasters.recurrent import recurrent_layer
from forwardtrader.models.forecasters.trainer import Trainer, initial_weights, sequence_loss

UPDATES = 128
ROUNDS, REPEATS = 12, 20


@dataclass(frozen=True)
class Part:
    """Milliseconds of one update, and the floating-point operations of its matrix products."""

    name: str
    ms: float
    flops: float = 0.0


def matrix_peak(size: int = 1536, seconds: float = 1.5) -> float:
    """The best fp32 rate, in GFLOP/s, of a square product on one thread; run it on one core."""
    draw = np.random.default_rng(0)
    a, b = (draw.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    best, until = 0.0, time.perf_counter() + seconds
    with one_thread():
        while time.perf_counter() < until:
            began = time.process_time()
            a @ b
            best = max(best, 2 * size**3 / (time.process_time() - began) / 1e9)
    return best


def update_parts(given: Case) -> tuple[list[Part], Part]:
    """The parts of one update, and the whole."""
    import jax

    settings = given.settings
    spec = fold_training.lstm_spec(settings, len(given.panel.names))
    training = fold_training.training_spec(settings)
    length, batch, units, features = training.length, training.batch, spec.units, spec.features
    draw = np.random.default_rng(0)
    weights = initial_weights(spec, 0)
    kernel, bias = np.concatenate([weights["kernel"], weights["recurrent"]]), weights["bias"]
    inputs = draw.standard_normal((length, batch, features), dtype=np.float32)
    pull = draw.standard_normal((length, batch, units), dtype=np.float32)
    wanted = draw.standard_normal((training.supervised, batch, spec.horizons), dtype=np.float32)
    noise = draw.integers(0, 256, (training.supervised, batch, units), dtype=np.uint8)
    seen = draw.standard_normal((length * batch, features + units), dtype=np.float32)
    gates = draw.standard_normal((length * batch, 4 * units), dtype=np.float32)

    layer: Any = recurrent_layer()
    kept: Any = jax.jit(lambda k, b: jax.vjp(lambda k, b: layer(k, b, inputs), k, b))
    both: Any = jax.jit(lambda k, b, d: jax.vjp(lambda k, b: layer(k, b, inputs), k, b)[1](d))
    product: Any = jax.jit(lambda s, g: s.T @ g)
    loss: Any = jax.jit(jax.value_and_grad(lambda w, x: sequence_loss(w, x, wanted, noise, spec, training)))
    calls = {
        "forward": lambda: kept(kernel, bias),
        "gradient": lambda: both(kernel, bias, pull),
        "product": lambda: product(seen, gates),
        "loss": lambda: loss(weights, inputs),
        "update": _fit(given, spec, training),
    }
    ms = _in_turn(calls)
    forward, weight_gradient, whole = ms["forward"], ms["product"], ms["update"] / UPDATES

    per_step = 2.0 * batch * length * 4 * units
    head = 3 * 2.0 * batch * training.supervised * (units + features) * spec.outputs
    parts = [
        Part("forward scan", forward, per_step * (features + units)),
        Part("backward scan", ms["gradient"] - forward - weight_gradient, per_step * units),
        Part("weight gradient", weight_gradient, per_step * (features + units)),
        Part("dropout, head and loss, both ways", ms["loss"] - ms["gradient"], head),
        Part("gathering sequences, clipping, optimiser, random bytes", whole - ms["loss"]),
    ]
    return parts, Part("whole update", whole, sum(part.flops for part in parts))


def _fit(given: Case, spec: Any, training: Any) -> Callable[[], Any]:
    """Some updates by `Trainer.fit`, everything included."""
    fold = given.folds[0][SYMBOL]
    segments = [(fold.train_first, fold.train_last)]
    mean, std = fold_training.scaling(given.panel.features, segments)
    trainer = Trainer(spec, training, given.panel.features, given.panel.targets)
    starts = draw_starts(segments, length=training.length, stride=training.supervised, batch=training.batch, updates=UPDATES, seed=0)
    return lambda: trainer.fit(starts, mean, std, seed=0).loss


def _in_turn(calls: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Least milliseconds of processor time of each call, over rounds in which each has its turn: what others do can only add to it."""
    import jax

    ready: Any = jax.block_until_ready
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            repeats = 1 if name == "update" else REPEATS
            began = time.process_time()
            for _ in range(repeats):
                ready(call())
            took[name].append((time.process_time() - began) / repeats * 1e3)
    return {name: min(times[1:]) for name, times in took.items()}  # the first round compiles


def parts_table(parts: list[Part], whole: Part, peak: float) -> str:
    """As Markdown; `peak` in GFLOP/s."""
    lines = ["| part of one update | ms | share | MFLOP in products | GFLOP/s | of the peak |", "|---|---|---|---|---|---|"]
    for part in [*parts, whole]:
        rate = part.flops / max(part.ms, 1e-6) / 1e6
        work = f"{part.flops / 1e6:.1f} | {rate:.0f} | {rate / peak:.0%}" if part.flops else "- | - | -"
        lines.append(f"| {part.name} | {part.ms:.2f} | {part.ms / whole.ms:.0%} | {work} |")
    return "\n".join(lines)
