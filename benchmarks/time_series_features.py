"""Whether features of time-series analysis pay: `python -m benchmarks.time_series_features --data DIR [--forecaster NAME ...]`.

Forecasts with the catalogue alone and with `ts_*` beside it (docs/features.md), out of sample on the hourly candles of DIR
(`binance_spot_BTCUSDT_1h.csv.gz` and so on): rank IC in the mean of the coins, and losses compared over all coins together (Diebold and
Mariano 1995; positive is better). The table lands in `benchmarks/time_series_features.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.ablation import COINS, HOUR, coin_candles
from forwardtrader.core.atomic import write_text
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.outcomes import outcomes
from forwardtrader.reports.statistics.significance import mean_test, paired_differences

PAGE: Final = Path(__file__).resolve().parent / "time_series_features.md"
HORIZONS: Final = (1, 4)
SETS: Final[dict[str, tuple[str, ...]]] = {"catalogue": (), "with `ts_*`": ("*", "ts_*")}
HEAD: Final = "| | rank IC | coins where it is higher | loss | lower by, times 10,000 |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Scored:
    """Rank IC of each coin, and the mean loss of the coins by bar."""

    rank_ic: pd.Series[float]
    losses: pd.Series[float]


def scored(walk: WalkForward, candles: Mapping[str, pd.DataFrame], horizon: int, first: pd.Timestamp) -> Scored:
    """The forecasts of one horizon from `first` on."""
    found = {}
    for symbol, bars in candles.items():
        frame = walk.frame(symbol, horizon)
        found[symbol] = outcomes(frame.loc[frame.index >= first], bars, horizon).dropna(subset=["loss"])
    ranks = {symbol: float(table["location"].corr(table["realised"], method="spearman")) for symbol, table in found.items()}
    return Scored(pd.Series(ranks), pd.concat([table["loss"] for table in found.values()], axis=1).mean(axis=1))


def rows(name: str, horizon: int, plain: Scored, more: Scored) -> list[str]:
    """Two lines of the table: the catalogue alone, and with the features beside it."""
    pair = pd.concat([plain.losses, more.losses], axis=1).dropna().to_numpy(dtype=np.float64)
    test = mean_test(paired_differences(pair[:, 0], pair[:, 1]), horizon=horizon)
    low, high = (each * 1e4 for each in test.interval())
    gain = f"{test.mean * 1e4:+.2f} ({low:+.2f} to {high:+.2f}, p {test.p:.2g})"
    higher = f"{int((more.rank_ic > plain.rank_ic).sum())} of {len(plain.rank_ic)}"
    cells = [(plain, "", ""), (more, higher, gain)]
    return [
        f"| `{name}`, {horizon} ahead, {which} | {each.rank_ic.mean():.4f} | {coins} | {each.losses.mean():.5f} | {lower} |"
        for which, (each, coins, lower) in zip(SETS, cells, strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Score all forecasters with both sets of features, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_series_features", description="whether ts_* features pay")
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="folder of hourly candles")
    parser.add_argument("--coins", nargs="+", default=COINS)
    parser.add_argument("--from", dest="first", default="2020-02-01")
    parser.add_argument("--to", dest="last", default="2022-01-01")
    parser.add_argument("--train-window", default="365d")
    parser.add_argument("--forecaster", nargs="+", default=["huber_linear", "lightgbm"])
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    first, last = (pd.Timestamp(each, tz="UTC") for each in (given.first, given.last))
    candles, lines = coin_candles(given.data, given.coins, last), []
    for name in given.forecaster:
        walks = []
        for features in SETS.values():
            with TemporaryDirectory() as path:
                settings = {"forecaster": name, "train_window": given.train_window, "seeds": 1, "jobs": 1, "save_path": path}
                models = ModelSettings.model_validate({**settings, "features": features})
                walks.append(walk_forward(candles, first.to_pydatetime(), last.to_pydatetime(), settings=models, timeframe=HOUR))
        for horizon in HORIZONS:
            lines += rows(name, horizon, *(scored(walk, candles, horizon, first) for walk in walks))
        sys.stdout.write(f"{name}: done\n")
        sys.stdout.flush()
    told = f"{', '.join(given.coins)}, hourly spot candles, {given.first} .. {given.last}, windows of {given.train_window}."
    write_text(given.page, f"# Whether features of time-series analysis pay\n\n{told}\n\n{HEAD}\n" + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
