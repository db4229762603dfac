"""Forecasters side by side on the same folds: `python -m benchmarks.forecasters --data BTC/USDT=FILE ...`.

Each is trained walk-forward on each symbol alone, and scored out of sample one bar ahead: rank IC, loss against that of the zero forecast,
seconds, and for each pair the Diebold-Mariano test over all symbols together, whose losses at one bar count as one observation. The table
lands in `benchmarks/forecasters.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

import forwardtrader as ft
from benchmarks.training.own_networks import gru, tcn
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import SystemClock
from forwardtrader.models.features.sequences import unit
from forwardtrader.reports.statistics.forecast_scores import Outcomes, scaled_losses
from forwardtrader.reports.statistics.selection.model_confidence_set import model_confidence_set
from forwardtrader.reports.statistics.significance import diebold_mariano

PAGE: Final = Path(__file__).resolve().parent / "forecasters.md"
FORECASTERS: Final[dict[str, Any]] = {
    "LSTM": "lstm", "GRU": ft.KerasForecaster(gru), "TCN": ft.KerasForecaster(tcn), "LightGBM": "lightgbm", "linear": "huber_linear",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one forecaster came to on one symbol: seconds, rank IC, loss skill, and its losses by bar-open time."""

    seconds: float
    rank_ic: float
    skill: float
    losses: pd.Series[float]


def found(forecaster: Any, candles: pd.DataFrame, given: argparse.Namespace, models: str) -> Found:
    """Train, forecast and score one."""
    began = time.perf_counter()
    walk = ft.WalkForward(
        forecaster, horizons=(1,), train_window=given.train_window, retrain_every=given.retrain_every, seeds=given.seeds, save_path=models
    )
    table = walk.fit_predict(candles, given.first, given.last)
    seconds = time.perf_counter() - began
    scores = walk.score("none").iloc[0]
    own = table.set_index("timestamp")
    panel = walk.fitted.forecasts.walk.panel
    [symbol] = panel.symbols
    usual = pd.Series(unit(panel.bars[symbol], 1), index=panel.index[symbol]).reindex(own.index)
    outcome = Outcomes.of(own, np.asarray(usual, dtype=np.float64))
    losses = np.full(len(own), np.nan)
    losses[outcome.known] = scaled_losses(outcome)
    return Found(seconds, float(scores["rank_ic"]), float(scores["loss_skill"]), pd.Series(losses, index=own.index))


def page(results: Mapping[str, Mapping[str, Found]], command: str) -> str:
    """The tables, by symbol and forecaster."""
    names = list(next(iter(results.values())))
    lines = [f"# Forecasters side by side\n\n{command}\n", "Rank IC one bar ahead, out of sample (loss skill against the zero forecast):\n"]
    lines += [_row(["symbol", *names]), _row(["---"] * (len(names) + 1))]
    for symbol, each in results.items():
        lines.append(_row([symbol, *(f"{one.rank_ic:.3f} ({one.skill:+.2%})" for one in each.values())]))
    mean = [np.mean([each[name].rank_ic for each in results.values()]) for name in names]
    skill = [np.mean([each[name].skill for each in results.values()]) for name in names]
    lines.append(_row(["mean", *(f"**{ic:.3f}** ({s:+.2%})" for ic, s in zip(mean, skill, strict=True))]))
    seconds = [sum(each[name].seconds for each in results.values()) for name in names]
    lines.append(_row(["seconds, all", *(f"{s:,.0f}" for s in seconds)]))
    pooled = {name: pd.concat([each[name].losses for each in results.values()], axis=1).mean(axis=1) for name in names}
    lines += ["\nDiebold-Mariano, row against column, all symbols together: statistic (p); negative favours the row.\n"]
    lines += [_row(["", *names]), _row(["---"] * (len(names) + 1))]
    for one in names:
        lines.append(_row([one, *(_test(pooled, one, other) for other in names)]))
    confidence = model_confidence_set({name: _array(losses) for name, losses in pooled.items()}, horizon=1)
    lines.append(
        "\nModel confidence set, p: " + ", ".join(f"{name} {p:.3f}" for name, p in confidence.items()) + "; 0.1 or more stays in it.\n"
    )
    return "\n".join(lines)


def _test(pooled: Mapping[str, pd.Series[float]], one: str, other: str) -> str:
    if one == other:
        return ""
    test = diebold_mariano(_array(pooled[one]), _array(pooled[other]), horizon=1)
    return f"{test.statistic:+.2f} ({test.p:.3f})"


def _array(losses: pd.Series[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(losses, dtype=np.float64)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Run all of them, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasters", description="forecasters side by side on the same folds")
    parser.add_argument("--data", action="append", default=[], metavar="SYMBOL=FILE", help="hourly candles; the sample market where none")
    parser.add_argument("--from", dest="first", default="2023-01-01")
    parser.add_argument("--to", dest="last", default="2025-01-01")
    parser.add_argument("--train-window", default="730d")
    parser.add_argument("--retrain-every", default="28d")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    markets = {symbol: ft.load_candles(symbol, file=path) for symbol, _, path in (text.partition("=") for text in given.data)}
    markets = markets or {"BTC/USDT": ft.load_candles(source="sample", end=given.last)}
    results: dict[str, dict[str, Found]] = {}
    with TemporaryDirectory() as models:
        for symbol, candles in markets.items():
            for name, forecaster in FORECASTERS.items():
                results.setdefault(symbol, {})[name] = one = found(forecaster, candles, given, models)
                sys.stdout.write(f"{symbol} {name}: rank IC {one.rank_ic:.3f}, skill {one.skill:+.2%}, {one.seconds:.0f} s\n")
                sys.stdout.flush()
    words = " ".join(f"--data {text.partition('=')[0]}={Path(text.partition('=')[2]).name}" for text in given.data)
    load = f"load {os.getloadavg()[1]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    what = f"`python -m benchmarks.forecasters {words}`, {given.first} .. {given.last}, {given.seeds} seed, {SystemClock().now():%Y-%m-%d}"
    write_text(given.page, page(results, f"{what}, {os.cpu_count()} cores, {load}."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
