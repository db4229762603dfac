"""How many outcomes fall into the bands of 90 %, by coin and half year: `python -m benchmarks.coverage --data DIR [--forecaster NAME ...]`.

Bands as models and their calibration give them, and corrected at every bar from known outcomes (`learning.intervals`), on the hourly
candles of DIR (`binance_spot_BTCUSDT_1h.csv.gz` and so on). Losses of the two are compared over all coins together (Diebold and Mariano
1995; positive is better). The table lands in `benchmarks/coverage.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.ablation import COINS, coin_candles
from forwardtrader.core.atomic import write_text
from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.online.outcomes import outcomes
from forwardtrader.reports.statistics.significance import mean_test, paired_differences

PAGE: Final = Path(__file__).resolve().parent / "coverage.md"
HOUR: Final = Timeframe.parse("1h")
HORIZONS: Final = (1, 4)
LEAST_BARS: Final = 1000  # of a half year that counts
WITHIN: Final = (0.87, 0.93)


@dataclass(frozen=True)
class Scored:
    """Coverage [half years, coins], and the mean loss of the coins by bar."""

    coverage: pd.DataFrame
    losses: pd.Series[float]


def scored(walk: WalkForward, candles: Mapping[str, pd.DataFrame], horizon: int, first: pd.Timestamp) -> Scored:
    """The forecasts of one horizon from `first` on."""
    covered, losses = {}, {}
    for symbol, bars in candles.items():
        told = walk.frame(symbol, horizon)
        found = outcomes(told.loc[told.index >= first], bars, horizon).dropna(subset=["loss", "covered"])
        at = pd.DatetimeIndex(found.index)
        halves = found["covered"].astype(np.float64).groupby([f"{day.year} {'I' if day.month < 7 else 'II'}" for day in at])
        covered[symbol.partition("/")[0]] = halves.mean()[halves.count() >= LEAST_BARS]
        losses[symbol] = found["loss"]
    return Scored(pd.DataFrame(covered), pd.concat(losses, axis=1, sort=True).mean(axis=1))


def rows(name: str, horizon: int, plain: Scored, corrected: Scored) -> list[str]:
    """Two lines of the summary: one without the correction, one with it."""
    pair = pd.concat([plain.losses, corrected.losses], axis=1).dropna().to_numpy(dtype=np.float64)
    test = mean_test(paired_differences(pair[:, 0], pair[:, 1]), horizon=horizon)
    half = 1.96 * abs(test.mean / test.statistic) if test.statistic else 0.0
    gain = f"{test.mean * 1e4:+.2f} ({(test.mean - half) * 1e4:+.2f} to {(test.mean + half) * 1e4:+.2f}, p {test.p:.2g})"
    return [
        f"| {name}, {horizon} ahead{', corrected' if each is corrected else ''} | {_spread(each.coverage)} | {each.losses.mean():.5f} | "
        f"{gain if each is corrected else ''} |"
        for each in (plain, corrected)
    ]


def _spread(coverage: pd.DataFrame) -> str:
    values = coverage.to_numpy(dtype=np.float64)
    values = values[np.isfinite(values)]
    inside = int(((values >= WITHIN[0]) & (values <= WITHIN[1])).sum())
    return f"{values.min():.1%} | {values.max():.1%} | {inside} of {len(values)}"


def by_half_year(name: str, horizon: int, plain: Scored, corrected: Scored) -> str:
    """Coverage by half year and coin, without and with the correction."""
    lines = [f"| {name}, {horizon} ahead | {' | '.join(plain.coverage.columns)} |", f"|---|{'---|' * len(plain.coverage.columns)}"]
    for half in plain.coverage.index:
        cells = (
            "" if np.isnan(a) else f"{a:.1%}, {b:.1%}" for a, b in zip(plain.coverage.loc[half], corrected.coverage.loc[half], strict=True)
        )
        lines.append(f"| {half} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Score all forecasters, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description="coverage of the 90 % bands by half year")
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="folder of hourly candles")
    parser.add_argument("--coins", nargs="+", default=COINS)
    parser.add_argument("--from", dest="first", default="2020-01-01")
    parser.add_argument("--to", dest="last", default="2022-01-01")
    parser.add_argument("--train-window", default="365d")
    parser.add_argument("--forecaster", nargs="+", default=["huber_linear", "lightgbm", "lstm", "blend", "panel"])
    parser.add_argument("--models", type=Path, metavar="DIR", help="keep models here, and use those that are there")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    first, last = (pd.Timestamp(each, tz="UTC") for each in (given.first, given.last))
    candles = coin_candles(given.data, given.coins, last)
    summary, tables = [], []
    with ExitStack() as stack:
        path = given.models or stack.enter_context(TemporaryDirectory())
        for name in given.forecaster:
            settings = {"forecaster": name, "train_window": given.train_window, "seeds": 1, "jobs": 1, "save_path": str(path)}
            models, span = ModelSettings.model_validate(settings), (first.to_pydatetime(), last.to_pydatetime())
            walk = walk_forward(candles, *span, settings=models, timeframe=HOUR)
            adaptive = online_walk_forward(walk, *span, learning=LearningSettings(intervals=True), timeframe=HOUR)
            for horizon in HORIZONS:
                pair = scored(walk, candles, horizon, first), scored(adaptive, candles, horizon, first)
                summary += rows(f"`{name}`", horizon, *pair)
                tables.append(by_half_year(f"`{name}`", horizon, *pair))
            sys.stdout.write(f"{name}: done\n")
            sys.stdout.flush()
    head = "| | least | most | between 87 and 93 % | loss | lower by, times 10,000 |\n|---|---|---|---|---|---|"
    told = f"Coverage of the 90 % bands by half year, {given.first} .. {given.last}, windows of {given.train_window}, hourly spot candles."
    below = "\n\n".join(["By coin, without and with the correction:", *tables])
    write_text(given.page, f"# Bands that hold what they say\n\n{told}\n\n{head}\n" + "\n".join(summary) + f"\n\n{below}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
