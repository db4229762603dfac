"""Our command beside FreqAI with LightGBM: the same candles, one-year windows, a retrain every 28 days, both cold, in turn.

    python -m venv /somewhere/freqai && /somewhere/freqai/bin/pip install 'freqtrade[freqai]'
    python -m benchmarks.freqai --python /somewhere/freqai/bin/python --data FILE [--rounds 1] [--quiet-waiting]

FreqAI runs its own example strategy (spot, so that it may not sell short) with LightGBM as it comes, one model a retrain. No venue is
asked, the market list is put in place by hand. Ours trains three networks a retrain, without baselines. Both write their reports.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks.command import QUIET, ROOT, Spent, backtest, measured
from benchmarks.training.case import hourly
from forwardtrader.models.parallel.workers import cores

WINDOW_DAYS: Final = 365
RETRAIN_DAYS: Final = 28
STRATEGY: Final = """from freqtrade.templates.FreqaiExampleStrategy import FreqaiExampleStrategy


class SpotExample(FreqaiExampleStrategy):
    can_short = False
"""


@dataclass(frozen=True)
class Pair:
    """One round: FreqAI, then ours; retrains of each."""

    theirs: Spent
    ours: Spent
    retrains: tuple[int, int]


def config() -> dict[str, Any]:
    """FreqAI's documented example, on hourly spot candles of one pair and on our calendar."""
    price = {"price_side": "same", "use_order_book": False}
    features = {
        "include_timeframes": ["1h"], "include_corr_pairlist": [], "label_period_candles": 4, "include_shifted_candles": 2,
        "indicator_periods_candles": [10, 20],
    }  # fmt: skip
    freqai = {
        "enabled": True, "purge_old_models": 2, "train_period_days": WINDOW_DAYS, "backtest_period_days": RETRAIN_DAYS, "identifier": "x",
        "feature_parameters": features, "data_split_parameters": {"test_size": 0.1, "shuffle": False}, "model_training_parameters": {},
    }  # fmt: skip
    return {
        "trading_mode": "spot", "margin_mode": "", "max_open_trades": 1, "stake_currency": "USDT", "stake_amount": "unlimited",
        "dry_run": True, "dry_run_wallet": 10_000, "timeframe": "1h", "tradable_balance_ratio": 0.99, "fiat_display_currency": "",
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": ["BTC/USDT"], "pair_blacklist": []},
        "entry_pricing": price, "exit_pricing": price, "pairlists": [{"method": "StaticPairList"}], "freqai": freqai,
    }  # fmt: skip


def freqai(python: Path, candles: pd.DataFrame, folder: Path, waiting: Mapping[str, str]) -> tuple[Spent, int]:
    """What FreqAI took, and how often it trained; `waiting` is how its threads wait."""
    for name in ("data", "user", "strategies"):
        (folder / name).mkdir()
    dated = candles.rename_axis("date").reset_index()
    dated["date"] = dated["date"].astype("datetime64[ms, UTC]")
    dated.to_feather(folder / "data" / "BTC_USDT-1h.feather", compression="lz4")
    (folder / "config.json").write_text(json.dumps(config()), encoding="utf-8")
    (folder / "strategies" / "spot_example.py").write_text(STRATEGY, encoding="utf-8")
    words = [str(python), str(ROOT / "benchmarks" / "freqai_offline.py"), "BTC/USDT", "--", "backtesting", "--config", "config.json"]
    words += ["--userdir", "user", "--datadir", "data", "--strategy-path", "strategies", "--strategy", "SpotExample", "--cache", "none"]
    words += ["--freqaimodel", "LightGBMRegressor", "--timerange", "20220101-20250831"]
    spent = measured(words, folder, waiting)
    return spent, len(re.findall(r"Training model on \d+ data points", (folder / "output.txt").read_text(encoding="utf-8")))


def ours(data: Path, folder: Path) -> tuple[Spent, int]:
    words = ["--from", "2022-01-01", "--to", "2025-08-31", "--data", f"BTC/USDT={data}", "--train-window", f"{WINDOW_DAYS}d"]
    run = backtest(folder, [*words, "--retrain-every", f"{RETRAIN_DAYS}d", "--seeds", "3", "--baselines", "none"])
    return run.spent, len(run.manifest["walk_forward"]["folds"])


def table(pairs: Sequence[Pair]) -> str:
    """Medians as Markdown."""
    lines = ["| | retrains | wall, s | processor, s | peak memory, MB |", "|---|---|---|---|---|"]
    for n, (name, models) in enumerate((("FreqAI, LightGBM", 1), ("ours, LSTM", 3))):
        spent = [(pair.theirs, pair.ours)[n] for pair in pairs]
        wall, cpu, peak = (statistics.median(getattr(s, key) for s in spent) for key in ("seconds", "cpu", "peak_mb"))
        lines.append(
            f"| {name}, {models} model{'s' * (models > 1)} a retrain | {pairs[0].retrains[n]} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |"
        )
    wall, cpu = (statistics.median(getattr(p.ours, key) / getattr(p.theirs, key) for p in pairs) for key in ("seconds", "cpu"))
    lines.append(f"| ours over FreqAI, asked at most 1 | | {wall:.2f} | {cpu:.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter of an environment with freqtrade[freqai]")
    parser.add_argument("--data", type=Path, required=True, help="hourly candles of BTC/USDT")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quiet-waiting", action="store_true", help="FreqAI's threads must not spin: for a machine that others use")
    said = parser.parse_args()
    waiting = QUIET if said.quiet_waiting else {}
    candles, pairs = hourly(said.data), []
    for _ in range(said.rounds):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            theirs, their_retrains = freqai(said.python.absolute(), candles, Path(one), waiting)
            mine, our_retrains = ours(said.data.resolve(), Path(other))
        pairs.append(Pair(theirs, mine, (their_retrains, our_retrains)))
    print(f"{platform.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f}, {said.rounds} rounds in turn; medians\n")
    print(table(pairs))


if __name__ == "__main__":
    main()
