"""Resident memory over hundreds of retrains in one process.

    python -m benchmarks.scaling.retrains [--count 500]

A walk-forward over the sample market with a small network, a window of 40 days and a retrain every 6 hours: every model is fitted,
calibrated, saved and asked for its forecasts. From the 20th retrain on, memory may grow by less than 5 %.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.folds.walk import walk_forward

SYMBOL: Final = "BTC/USDT"
SETTLED: Final = 20
ASKED: Final = 0.05
FIRST: Final = datetime(2021, 1, 1, tzinfo=UTC)
SMALL: Final[dict[str, Any]] = {"units": 8, "seeds": 1, "epochs": 1, "train_window": "40d", "retrain_every": "6h", "context": 16}


def resident_mb(count: int, folder: Path) -> list[float]:
    """Resident memory of this process after each of `count` retrains."""
    every = timedelta(hours=6)
    last = FIRST + count * every
    candles = sample_candles(SYMBOL, Timeframe.parse("1h"), seed=0, until=last)
    candles = candles.loc[candles.index >= FIRST - timedelta(days=90)]
    settings = ModelSettings.model_validate(SMALL | {"save_path": str(folder), "jobs": 1})
    me, seen = psutil.Process(), []

    def progress(done: int, _: int) -> None:
        if done:
            seen.append(me.memory_info().rss / 2**20)

    walk_forward({SYMBOL: candles}, FIRST, last, settings=settings, timeframe=Timeframe.parse("1h"), progress=progress)
    return seen


def growth(seen: list[float]) -> float:
    """Of the last ten over the ten that follow the twentieth, as a share: means, as one sample alone depends on the moment."""
    return sum(seen[-10:]) / sum(seen[SETTLED : SETTLED + 10]) - 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = resident_mb(said.count, Path(folder))
    marks = [SETTLED, *range(100, len(seen), 100), len(seen)]
    print("| retrains | " + " | ".join(str(mark) for mark in marks) + " | growth, asked below 5 % |")
    print("|---" * (len(marks) + 2) + "|")
    print("| resident memory, MB | " + " | ".join(f"{seen[mark - 1]:.0f}" for mark in marks) + f" | {growth(seen):.1%} |")


if __name__ == "__main__":
    main()
