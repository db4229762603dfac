"""From a closed bar of many symbols to the last of its orders: `python -m benchmarks.latency_many --symbols 20`.

As `benchmarks.latency`, with many symbols in one account: each is forecast at every bar by models of its own, all are decided on together,
and the sign of the forecasts is turned by turns, so that every bar has an order of every symbol. Two
ways are measured, for each bar:

- whole: the first closed candle pushed by the exchange to the last order received by it, both stamped there;
- ours: the first closed candle heard to the last order request handed to the HTTP client.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.latency import CALM, FLAGS, SETTINGS, Measured, facts_of
from forwardtrader.feeds.history.sample_market import listed_symbols
from forwardtrader.live.request import read_request

TARGET_MS = 100.0
_NO_BRAKES = ("risk.max_orders_per_minute=100000", "models.epochs=2", "models.seeds=1")  # orders of all symbols come together here


@dataclass(frozen=True)
class Bars:
    """Milliseconds of each bar's ways, and how many orders it had."""

    whole: NDArray[np.float64]
    ours: NDArray[np.float64]
    orders: NDArray[np.int64]

    def fully_traded(self, symbols: int) -> NDArray[np.bool_]:
        return self.orders == symbols


def measure(symbols: int, bars: int, per_second: float) -> Bars:
    """Run a session of `bars` bars of each of so many symbols."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        places = (f"live.sessions_path={folder}", f"live.state_path={folder / 'state.db'}", f"models.save_path={folder / 'models'}")
        words = [word for setting in (*SETTINGS, *CALM, *_NO_BRAKES, *places) for word in ("--set", setting)]
        for symbol in [s for s in listed_symbols() if s.endswith("/USDT")][:symbols]:
            words += ["--symbol", symbol]
        session = Measured(read_request([*FLAGS, "--speed", f"{3600 * per_second:g}", "--bars", str(bars), *words]))
        session.run()
        return _bars(session)


def _bars(session: Measured) -> Bars:
    closed: dict[Any, int] = {}
    for entry in session.entries:
        if entry["kind"] == "closed candle":
            closed.setdefault(entry["params"]["start"], entry["at_ns"])
    received = [e["at_ns"] for e in session.entries if e["kind"] == "rest" and e["name"] == "POST order"]
    heard: dict[Any, int] = {}
    for start, at in zip(session.heard_of, session.heard, strict=True):
        heard.setdefault(start, at)
    whole, orders = last_of_each(sorted(closed.values()), received)
    ours, _ = last_of_each(sorted(heard.values()), session.left)
    return Bars(whole, ours, orders)


def last_of_each(starts: list[int], ends: list[int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Milliseconds from each start to the last end before the next one, and how many ends there are; only of starts with any."""
    groups = np.searchsorted(np.array(starts), np.array(ends), side="right") - 1
    found = [(i, np.flatnonzero(groups == i)) for i in range(len(starts))]
    told = [((ends[own[-1]] - starts[i]) / 1e6, len(own)) for i, own in found if len(own)]
    return np.array([ms for ms, _ in told]), np.array([count for _, count in told], dtype=np.int64)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency_many", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--bars", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=1.0, help="bars the market plays in a second")
    given = parser.parse_args()
    bars = measure(given.symbols, given.bars, given.per_second)
    full = bars.fully_traded(given.symbols)
    print(f"{int(full.sum())} of {len(full)} bars with orders had one of each of {given.symbols} symbols")
    for name, ways in (("whole", bars.whole[full]), ("ours", bars.ours[-len(full) :][full])):
        f = facts_of(ways)
        shown = ", ".join(f"{what} {f[f'{what}_ms']:.1f}" for what in ("p50", "p95", "p99", "max"))
        print(f"{name}, ms: {shown} (to reach: {TARGET_MS:g})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
