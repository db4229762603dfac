"""All symbols at once against each alone: `python -m benchmarks.panel --data BTC/USDT=FILE --data ETH/USDT=FILE ...`.

The panel forecaster is trained walk-forward on all symbols together; the others on each symbol alone, with the features of one symbol:
LightGBM as it comes along and with values that were tuned for it, a linear forecaster, and rules. Scored out of sample one bar ahead: rank
IC and coverage by symbol, rank IC across symbols, and the Diebold-Mariano test over all symbols together, whose losses at one bar count as
one observation. The table lands in `benchmarks/panel.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

import forwardtrader as ft
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import SystemClock
from forwardtrader.models.features.sequences import unit
from forwardtrader.reports.statistics.cross_section import cross_sectional_skill
from forwardtrader.reports.statistics.forecast_scores import Outcomes, point_scores, scaled_losses
from forwardtrader.reports.statistics.significance import diebold_mariano

PAGE: Final = Path(__file__).resolve().parent / "panel.md"
PANEL: Final = "panel"
TUNED: Final = "LightGBM, tuned"
# Of five sets of rounds, leaves, rates and shares, the best on seven coins over 2020 and 2021 (docs/research.md).
_TUNED: Final[dict[str, Any]] = {
    "n_estimators": 200, "num_leaves": 16, "learning_rate": 0.03, "feature_fraction": 0.3, "min_data_in_leaf": 200, "bagging_fraction": 0.5,
}  # fmt: skip
ALONE: Final[dict[str, Any]] = {
    TUNED: ft.LightGBMForecaster(**_TUNED), "LightGBM": "lightgbm", "linear": "huber_linear", "reversal": "reversal",
}  # fmt: skip


@dataclass
class Found:
    """What one forecaster came to: seconds, and by symbol its scores, losses by bar-open time, and forecasts with their outcomes."""

    seconds: float = 0.0
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: dict[str, pd.Series[float]] = field(default_factory=dict)
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def mean(self, score: str) -> float:
        return float(np.mean([each[score] for each in self.scores.values()]))

    @property
    def pooled(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(pd.concat(self.losses.values(), axis=1).sort_index().mean(axis=1), dtype=np.float64)


def follow(found: Found, forecaster: Any, candles: Any, given: argparse.Namespace, models: str) -> None:
    """Train and forecast one symbol, or several together, and enter how each did."""
    began = time.perf_counter()
    walk = ft.WalkForward(
        forecaster, horizons=(1,), train_window=given.train_window, retrain_every=given.retrain_every, anew_every=given.anew_every,
        seeds=given.seeds, save_path=models,
    )  # fmt: skip
    table = walk.fit_predict(candles, given.first, given.last)
    found.seconds += time.perf_counter() - began
    panel = walk.fitted.forecasts.walk.panel
    for symbol, rows in table.groupby("symbol", sort=False):
        own = rows.set_index("timestamp")
        usual = pd.Series(unit(panel.bars[str(symbol)], 1), index=panel.index[str(symbol)]).reindex(own.index)
        outcome = Outcomes.of(own, np.asarray(usual, dtype=np.float64))
        losses = np.full(len(own), np.nan)
        losses[outcome.known] = scaled_losses(outcome)
        found.scores[str(symbol)] = point_scores(outcome)
        found.losses[str(symbol)] = pd.Series(losses, index=own.index)
        found.frames[str(symbol)] = own[["location", "realised"]]


def page(results: Mapping[str, Found], command: str) -> str:
    """The tables."""
    names, panel = list(results), results[PANEL]
    lines = [f"# All symbols at once\n\n{command}\n"]
    lines += ["Rank IC one bar ahead, out of sample; of the panel also the coverage of its 90 % bands:\n"]
    lines += [_row(["symbol", *names, "coverage"]), _row(["---"] * (len(names) + 2))]
    for symbol, own in panel.scores.items():
        ics = (f"{found.scores[symbol]['rank_ic']:.4f}" for found in results.values())
        lines.append(_row([symbol, *ics, f"{own['coverage_90']:.1%}"]))
    lines.append(_row(["mean", *(f"**{found.mean('rank_ic'):.4f}**" for found in results.values()), f"{panel.mean('coverage_90'):.1%}"]))
    lines.append(_row(["panel, times", *(f"{panel.mean('rank_ic') / found.mean('rank_ic'):.2f}" for found in results.values()), ""]))
    across = {name: cross_sectional_skill(found.frames) for name, found in results.items()}
    lines.append(_row(["across symbols", *(f"{skill.rank_ic:.4f}" for skill in across.values()), ""]))
    lines.append(_row(["loss skill", *(f"{found.mean('loss_skill'):.2%}" for found in results.values()), ""]))
    lines.append(_row(["Diebold-Mariano", *(_test(panel, found) for found in results.values()), ""]))
    lines.append(_row(["seconds", *(f"{found.seconds:,.0f}" for found in results.values()), ""]))
    lines.append("\nDiebold-Mariano: the panel against the column, all symbols together, statistic (p); negative favours the panel.\n")
    return "\n".join(lines)


def _test(panel: Found, other: Found) -> str:
    if other is panel:
        return ""
    test = diebold_mariano(panel.pooled, other.pooled, horizon=1)
    return f"{test.statistic:+.2f} ({test.p:.2g})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Run all of them, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panel", description="all symbols at once against each alone")
    parser.add_argument("--data", action="append", required=True, metavar="SYMBOL=FILE", help="hourly candles of one symbol")
    parser.add_argument("--from", dest="first", default="2023-01-01")
    parser.add_argument("--to", dest="last", default="2024-07-01")
    parser.add_argument("--train-window", default="730d")
    parser.add_argument("--retrain-every", default="28d")
    parser.add_argument("--anew-every", type=int, default=4, help="of models with warm starts, which are trained from scratch")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[PANEL, *ALONE], help="some of the forecasters, the panel among them")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    markets = {symbol: ft.load_candles(symbol, file=path) for symbol, _, path in (text.partition("=") for text in given.data)}
    results = {name: Found() for name in (PANEL, *ALONE) if name in given.only}
    with TemporaryDirectory() as models:
        follow(results[PANEL], "panel", markets, given, models)
        for name in (each for each in results if each != PANEL):
            for symbol, candles in markets.items():
                follow(results[name], ALONE[name], {symbol: candles}, given, models)
            sys.stdout.write(f"{name}: mean rank IC {results[name].mean('rank_ic'):.4f}, {results[name].seconds:.0f} s\n")
            sys.stdout.flush()
    words = " ".join(f"--data {text.partition('=')[0]}={Path(text.partition('=')[2]).name}" for text in given.data)
    load = f"load {os.getloadavg()[1]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    terms = f"{given.first} .. {given.last}, windows of {given.train_window}, a retrain every {given.retrain_every}, {given.seeds} seed"
    command = f"`python -m benchmarks.panel {words}`, {terms}, {SystemClock().now():%Y-%m-%d}, {os.cpu_count()} cores, {load}."
    write_text(given.page, page(results, command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
