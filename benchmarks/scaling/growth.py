"""How the cost of the whole command grows, on the sample market; and what bare scripts cost: `python -m benchmarks.backtest --growth`.

Everything is processor time, which other work on the machine does not stretch. One thing is varied at a time, doubling; the networks are
small, so that nothing hides behind the training. Each exponent is fitted to what grows, `constant + b n^k`, and to the whole.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.command import QUIET, ROOT, backtest, measured
from benchmarks.training.case import FIRST
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.features.catalogue import FEATURES
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.walk_forward import folds

ASKED: Final = 1.05
SMALL: Final = ("--source", "sample", "--baselines", "none", "--set", "models.units=16", "--set", "models.epochs=2")
FOLD_ROUNDS: Final = 6
EXPONENTS: Final = np.linspace(0.3, 2.0, 171)


@dataclass(frozen=True)
class Series:
    """Processor seconds over doubling sizes."""

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]


def bars(points: int) -> Series:
    """15-minute bars traded, with four retrains however many they are."""
    spans = [1360 // 2**n for n in reversed(range(points))]
    sizes, seconds = [], []
    for days in spans:
        took = _command(days, "--timeframe", "15m", "--train-window", "90d", "--retrain-every", f"{days // 4}d", "--seeds", "1")
        sizes.append(days * 96)
        seconds.append(took)
    return Series("bars traded", tuple(sizes), tuple(seconds))


def retrains(points: int) -> Series:
    """Retrains within half a year."""
    every = [28 / 2**n for n in range(points)]
    words = ("--train-window", "120d", "--seeds", "2")
    seconds = [_command(168, *words, "--retrain-every", f"{round(days * 24)}h") for days in every]
    return Series("folds", tuple(round(168 / days) for days in every), tuple(seconds))


def seeds(points: int) -> Series:
    """Networks a retrain."""
    counts = [2**n for n in range(1, points + 1)]
    words = ("--train-window", "240d", "--retrain-every", "14d")
    return Series("seeds", tuple(counts), tuple(_command(168, *words, "--seeds", str(count)) for count in counts))


def features(points: int) -> Series:
    """Columns of the model's input: one fold, as the command takes all there are."""
    names = tuple(FEATURES)
    counts = [len(names) // 2**n for n in reversed(range(points))]
    settings = ModelSettings(seeds=2, train_window=timedelta(days=365))
    hour = Timeframe.parse("1h")
    candles = sample_candles("BTC/USDT", hour, seed=0, until=FIRST + timedelta(days=28)).iloc[-10_500:]
    calls = [_fold(candles, names[:count], settings, hour) for count in counts]
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(FOLD_ROUNDS):
        for call, times in zip(calls, took, strict=True):
            began = time.process_time()
            call()
            times.append(time.process_time() - began)
    return Series("features (one fold)", tuple(counts), tuple(min(times[1:]) for times in took))  # the first round compiles


def _fold(candles: pd.DataFrame, names: tuple[str, ...], settings: ModelSettings, hour: Timeframe) -> Callable[[], object]:
    panel = Panel.of({"BTC/USDT": candles}, settings.horizons, names)
    cut = folds(panel.index["BTC/USDT"], FIRST, FIRST + timedelta(days=21), settings=settings, timeframe=hour, warm_up=500)
    fold = {"BTC/USDT": cut[0]}
    task = FoldTask(fold, "growth", fold_training.updates(settings, fold, cut[0].train_bars))
    work = FoldWork(panel, settings, "1h", None)
    return lambda: train_one(work, task)


def _command(days: int, *words: str) -> float:
    """Processor seconds of the whole command over `days` days, in an empty folder."""
    last = FIRST + timedelta(days=days)
    with tempfile.TemporaryDirectory() as folder:
        span = ("--from", f"{FIRST:%Y-%m-%dT%H:%M}", "--to", f"{last:%Y-%m-%dT%H:%M}")
        return backtest(Path(folder), [*span, *SMALL, *words]).spent.cpu


def exponent(sizes: Sequence[float], seconds: Sequence[float], *, constant: bool) -> float:
    """The k of `seconds = a + b sizes^k` with a >= 0 by least squares of relative errors; a = 0 where no constant is allowed."""
    n, t = np.asarray(sizes, dtype=float), np.asarray(seconds, dtype=float)
    if not constant:
        return float(np.polyfit(np.log(n), np.log(t), 1)[0])
    from scipy.optimize import nnls

    def left(k: float) -> float:
        return float(nnls(np.column_stack([1 / t, (n / n[0]) ** k / t]), np.ones(len(t)))[1])

    return float(min(EXPONENTS, key=left))


def growth_table(points: int) -> str:
    """As Markdown."""
    lines = ["| grows with | sizes | processor, s | exponent of what grows, asked 1.05 | of the whole |", "|---|---|---|---|---|"]
    for series in (bars(points), retrains(points), features(points), seeds(points)):
        fits = [exponent(series.sizes, series.seconds, constant=constant) for constant in (True, False)]
        sizes, seconds = " ".join(f"{n:,}" for n in series.sizes), " ".join(f"{t:.1f}" for t in series.seconds)
        lines.append(f"| {series.name} | {sizes} | {seconds} | {fits[0]:.2f} | {fits[1]:.2f} |")
    return "\n".join(lines)


def comparison_table(data: Path | None) -> str:
    """The main job beside bare scripts, as Markdown."""
    source = ["--data", f"BTC/USDT={data.resolve()}"] if data else ["--source", "sample"]
    named = ["--data", str(data.resolve())] if data else []
    lines = ["| | wall, s | processor, s | peak memory, MB |", "|---|---|---|---|"]
    scripts = {"backtrader": "script: bare Backtrader, SMA crossover", "lightgbm": "script: LightGBM walk-forward, no account, no report"}
    with tempfile.TemporaryDirectory() as folder:
        start = [sys.executable, "-m", "benchmarks.scaling.plain_scripts"]
        rows = [
            (title, measured([*start, which, *named], Path(folder), QUIET | {"PYTHONPATH": str(ROOT)})) for which, title in scripts.items()
        ]
        words = ["--from", f"{FIRST:%Y-%m-%d}", "--to", "2025-08-31", *source, "--baselines", "none"]
        rows += [(f"our command, {name}, no baselines", backtest(Path(folder), words).spent) for name in ("cold", "with caches")]
    lines += [f"| {name} | {spent.seconds:.1f} | {spent.cpu:.1f} | {spent.peak_mb:.0f} |" for name, spent in rows]
    return "\n".join(lines)
