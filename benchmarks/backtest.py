"""The whole main command, as a user types it: cold, and again with caches.

    python -m benchmarks.backtest [--data FILE] [--rounds 3] [--baselines all]
    python -m benchmarks.backtest --market BTC/USDT=FILE --market ETH/USDT=FILE [--forecaster blend]
    python -m benchmarks.backtest --growth [--data FILE]

Without a file the sample market is measured, of so many symbols with `--symbols`. Each cold round starts in an empty folder: no models, no
compiled code. Memory is that of the command and its children together, sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.command import Round, backtest
from benchmarks.scaling.growth import comparison_table, growth_table
from forwardtrader.feeds.history.sample_market import listed_symbols

STAGES = ("data", "train", "baselines", "simulate", "report")


def table(cold: list[Round], warm: list[Round]) -> str:
    """Medians as Markdown."""
    lines = [
        "| | wall, s | processor, s | peak memory, MB | data | train | baselines | simulate | report |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rounds in (("cold", cold), ("with caches", warm)):
        stages = [
            _median(r.manifest["timing_s"].get(stage, 0.0) for r in rounds)
            for stage in ("data", "train", "baselines", "simulate", "report")
        ]
        spent = [_median(getattr(r.spent, what) for r in rounds) for what in ("seconds", "cpu", "peak_mb")]
        lines.append(f"| {name} | " + " | ".join(f"{x:.0f}" if n == 2 else f"{x:.1f}" for n, x in enumerate([*spent, *stages])) + " |")
    return "\n".join(lines)


def scores(manifest: dict[str, Any]) -> str:
    """Out-of-sample scores of the network and its baselines as Markdown."""
    lines = ["| | rank IC | accuracy | top tenth | loss skill |", "|---|---|---|---|---|"]
    for forecast in manifest["forecast"].values():
        for name, score in {"lstm": forecast["lstm"], **forecast["baselines"]}.items():
            cells = [score["rank_ic"], score["accuracy"], score["accuracy_top10"], score["loss_skill"]]
            lines.append(f"| {name} | " + " | ".join("-" if c is None else f"{c:.4f}" for c in cells) + " |")
    return "\n".join(lines)


def _median(values: Any) -> float:
    return statistics.median(list(values))


def show_growth(data: Path | None, points: int) -> None:
    """Measure and print how the cost grows, and what bare scripts cost."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load before {os.getloadavg()[2]:.1f}; processor time, one run each\n")
    print(growth_table(points) + "\n")
    print(comparison_table(data))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="candles of BTC/USDT")
    parser.add_argument("--market", action="append", default=[], metavar="SYMBOL=FILE", help="one of several symbols; repeatable")
    parser.add_argument("--symbols", type=int, default=1, help="how many of the sample market")
    parser.add_argument("--forecaster", help="another than the network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baselines", default="all")
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    parser.add_argument("--growth", type=int, nargs="?", const=4, default=0, help="cost over so many doubling sizes instead")
    said = parser.parse_args()
    if said.growth:
        show_growth(said.data, said.growth)
        return
    words = ["--from", "2022-01-01", "--to", "2025-08-31", *_source(said), "--baselines", said.baselines]
    words += ["--forecaster", said.forecaster] if said.forecaster else []
    words += [word for text in said.assignments for word in ("--set", text)]
    cold, warm = [], []
    for _ in range(said.rounds):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(backtest(Path(folder), words))
            warm.append(backtest(Path(folder), words))
    equal = len({json.dumps(r.manifest["fingerprints"], sort_keys=True) for r in [*cold, *warm]}) == 1
    print(f"`python run_backtest.py {' '.join(w if '/' not in w else Path(w).name for w in words)}`")
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, {said.rounds} rounds, load before {os.getloadavg()[2]:.1f}; medians\n")
    print(table(cold, warm))
    print(f"\nfolds {len(cold[0].manifest['walk_forward']['folds'])}; fingerprints of all runs equal: {'yes' if equal else 'NO'}\n")
    print(scores(cold[0].manifest))


def _source(said: argparse.Namespace) -> list[str]:
    files = [f"BTC/USDT={said.data.resolve()}"] if said.data else []
    for text in said.market:
        symbol, _, file = text.partition("=")
        files.append(f"{symbol}={Path(file).resolve()}")
    if files:
        return [word for text in files for word in ("--data", text)]
    named = [symbol for symbol in listed_symbols() if symbol.endswith("/USDT")][: said.symbols]
    return ["--source", "sample", *(word for symbol in named for word in ("--symbol", symbol))]


if __name__ == "__main__":
    main()
