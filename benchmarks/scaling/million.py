"""A million one-minute bars through the whole command: memory and time.

    python -m benchmarks.scaling.million [--data FILE_OF_MINUTES] [--bars 1000000]

The long file is drawn in blocks of a day from the minutes given (or from the sample market) and lies in a temporary folder. Few retrains,
one network each: what is measured here is everything around the training.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.command import backtest
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import read_candles
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.parallel.workers import cores
from forwardtrader.models.walk_forward import boundaries

SYMBOL: Final = "BTC/USDT"
MINUTE: Final = Timeframe.parse("1m")
BLOCK: Final = 1440
END: Final = datetime(2025, 8, 1, tzinfo=UTC)
WINDOW_DAYS, SPARE_DAYS = 40, 3
ASKED_MB: Final = 3072


def drawn(minutes: pd.DataFrame, bars: int, seed: int) -> pd.DataFrame:
    """`bars` one-minute candles up to `END`, made of blocks of `minutes` that begin at random places, each where the last one ended.

    Args:
        minutes: a candle frame without gaps, longer than a block.
    """
    count = -(-bars // BLOCK)
    begins = np.random.default_rng(seed).integers(1, len(minutes) - BLOCK, count)
    rows = (begins[:, None] + np.arange(BLOCK)).ravel()[:bars]
    close = minutes["close"].to_numpy(dtype=np.float64)
    before = close[rows - 1]
    level = close[0] * np.exp(np.concatenate([[0.0], np.cumsum(np.log(close[rows] / before))[:-1]]))
    priced = {
        name: np.round(minutes[name].to_numpy(dtype=np.float64)[rows] / before * level, 2) for name in ("open", "high", "low", "close")
    }
    high = np.maximum.reduce(list(priced.values()))
    low = np.minimum.reduce(list(priced.values()))
    index = pd.date_range(end=END - timedelta(minutes=1), periods=bars, freq="min", name="timestamp")
    return pd.DataFrame(priced | {"high": high, "low": low, "volume": minutes["volume"].to_numpy()[rows]}, index=index)


def main() -> None:
    """Draw, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="one-minute candles of BTC/USDT")
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--retrain-days", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="folder to run in, left as it is afterwards")
    said = parser.parse_args()
    if said.data:
        minutes = read_candles(said.data, SYMBOL, MINUTE, SystemClock())
    else:
        minutes = sample_candles(SYMBOL, MINUTE, seed=0, until=END).iloc[-90_000:]
    with tempfile.TemporaryDirectory() as own:
        folder = said.keep.absolute() if said.keep else Path(own)
        folder.mkdir(exist_ok=True)
        drawn(minutes, said.bars, seed=0).to_parquet(folder / "minutes.parquet")
        learnt = END - timedelta(minutes=said.bars) + timedelta(days=WINDOW_DAYS + SPARE_DAYS)
        first = boundaries(learnt, END, timedelta(days=said.retrain_days))[1]
        words = ["--from", f"{first:%Y-%m-%dT%H:%M}", "--to", f"{END:%Y-%m-%dT%H:%M}", "--data", f"{SYMBOL}=minutes.parquet"]
        words += ["--timeframe", "1m", "--train-window", f"{WINDOW_DAYS}d", "--retrain-every", f"{said.retrain_days}d", "--seeds", "1"]
        run = backtest(folder, [*words, "--baselines", "none"])
    timing = run.manifest["timing_s"]
    stages = " | ".join(f"{timing.get(stage, 0.0):.1f}" for stage in ("data", "train", "simulate", "report"))
    print(f"{platform.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f}; {len(run.manifest['walk_forward']['folds'])} retrains\n")
    print("| one-minute bars | peak memory, MB | asked | wall, s | processor, s | data | train | simulate | report |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(f"| {said.bars:,} | {run.spent.peak_mb:.0f} | {ASKED_MB} | {run.spent.seconds:.0f} | {run.spent.cpu:.0f} | {stages} |")


if __name__ == "__main__":
    main()
