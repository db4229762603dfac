"""`python -m benchmarks.latency`: from a closed bar pushed by the practice exchange to the order received by it, both stamped there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import backtrader as bt
import numpy as np

from live.bt_store import CCXTStore
from live.journal import Journal
from live.practice import PracticeVenue, start_practice

TARGET_P50_MS, TARGET_P99_MS = 4.0, 25.0


class EveryBar(bt.Strategy):
    """Buys and sells by turns, one order a bar: the order path, and nothing else."""

    def next(self) -> None:
        if not self.data.is_current:
            return
        if self.position.size > 0:
            self.close()
        else:
            self.buy(size=0.001)


class Pace:
    """Plays the next bar once the last order was answered."""

    def __init__(self, venue: PracticeVenue, store: CCXTStore, bars: int) -> None:
        self.venue, self.store, self.bars, self.played = venue, store, bars, 0

    def __call__(self) -> None:
        step = 60_000
        if not self.store.getbroker().is_settled or not self.store.caught_up(self.store.first_live + (self.played - 1) * step):
            return
        if self.played >= self.bars:
            self.store.request_stop()
            return
        self.played += 1
        self.venue.advance()


def measure(bars: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Milliseconds of each bar's way."""
    venue = start_practice({"speed": "lockstep", "history": 60, "limits": "off", "symbols": ["BTC/USDT"], "fee_asset": "quote"})
    try:
        with TemporaryDirectory() as folder:
            at = venue.address
            store = CCXTStore(
                at.protocol, api_key=at.api_key, api_secret=at.api_secret, base_url=at.url, ws_url=at.ws_url, clock=venue,
                journal=Journal(Path(folder) / "journal.db"),
            )  # fmt: skip
            cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
            cerebro.adddata(store.getdata("BTC/USDT"))
            cerebro.setbroker(store.getbroker())
            cerebro.addstrategy(EveryBar)
            store.on_idle = Pace(venue, store, bars)
            cerebro.run()
            store.stop()
        return _ways(venue.control("log")["entries"])
    finally:
        venue.stop()


def _ways(entries: list[dict[str, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Each order's time after the closed candle before it, from the exchange's own log."""
    ways, closed = [], None
    for entry in entries:
        if entry["kind"] == "closed candle":
            closed = entry["at_ns"]
        elif "POST" in str(entry["name"]) and str(entry["name"]).endswith("order") and closed is not None:
            ways.append((entry["at_ns"] - closed) / 1e6)
            closed = None
    return np.array(ways)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    ways = measure(given.bars)
    p50, p95, p99, worst = (float(np.percentile(ways, q)) for q in (50, 95, 99, 100))
    if given.json:
        print(json.dumps({"n": len(ways), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": worst}))
    else:
        print(f"{len(ways)} orders: p50 {p50:.1f} ms, p95 {p95:.1f}, p99 {p99:.1f}, max {worst:.1f}")
        print(f"to reach: p50 {TARGET_P50_MS} ms, p99 {TARGET_P99_MS} ms")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
