"""A test of the test: how often strategies that toss coins pass for good ones.

    python -m benchmarks.random_strategies [--count 100] [--workers 1] [--seed 0] [--data FILE]

Each strategy enters and leaves at random, with or without stops and targets, long or short, on one symbol or two, and goes through
Backtrader, our broker, the statistics and the verdict. None has skill, so p of the random entries must be uniform and below 0.05 in about
one of twenty, and "edge" must be rarer. The table lands in `benchmarks/random_strategies.md`.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import backtrader as bt
import numpy as np
import pandas as pd
from scipy.stats import kstest

from benchmarks.markets.page import wilson
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.settings import ReportSettings, Settings, StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe, Verdict
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.models.checks.null_market import null_market
from forwardtrader.reports.artefacts import empty_forecasts
from forwardtrader.reports.judgement import RunFacts, RunResult, judge_run
from forwardtrader.strategies.backtrader.assembly import Feed, Record, build_cerebro, record_of

PAGE: Final = Path(__file__).with_name("random_strategies.md")
SYMBOL: Final = "BTC/USDT"
CLOCK: Final = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
BARS: Final = Timeframe.parse("1h").bars(timedelta(days=600))
FEW_DRAWS: Final = ReportSettings(bootstrap_samples=100)
STAKE: Final = 0.4  # of equity, in each symbol


@dataclass(frozen=True)
class Kind:
    """How a strategy tosses its coins: distances of stop and target as shares of the price, 0 for none."""

    stop: float = 0.0
    target: float = 0.0
    short: bool = False
    symbols: int = 1
    signs: bool = False  # whether the direction of each bar is tossed too


KINDS: Final = {
    "no stop": Kind(),
    "stop 1 %": Kind(stop=0.01),
    "stop 3 %": Kind(stop=0.03),
    "stop 0.3 %, within the bar": Kind(stop=0.003),
    "bracket 1 %, 2 %": Kind(stop=0.01, target=0.02),
    "short, stop 1 %": Kind(stop=0.01, short=True),
    "two symbols, stop 1 %": Kind(stop=0.01, symbols=2),
    "stop 1 %, directions tossed": Kind(stop=0.01, signs=True),
}


class CoinTosser(bt.Strategy):
    """Enters a flat symbol one bar in fifty, leaves one bar in forty, and rests its stop and target on the bar after its entry.

    Params:
        kind: what it rests; seed: of the coins.
    """

    params = (("kind", Kind()), ("seed", 0))

    def __init__(self) -> None:
        self.coins = np.random.default_rng(self.p.seed)

    def next(self) -> None:
        for data in self.datas:
            coin, size = self.coins.random(), self.getposition(data).size
            resting = [order for order in self.broker.get_orders_open() if order.data is data]
            if not size and coin < 1 / 50:
                self._enter(data, resting)
            elif size and coin < 1 / 40:
                self._cancel(resting)
                self.close(data)
            elif size and not resting:
                self._guard(data, size)

    def _enter(self, data: Any, resting: Sequence[Any]) -> None:
        self._cancel(resting)
        send = self.sell if self.p.kind.short else self.buy
        send(data, size=STAKE / self.p.kind.symbols * self.broker.get_value() / data.close[0])

    def _cancel(self, resting: Sequence[Any]) -> None:
        for order in resting:
            self.cancel(order)

    def _guard(self, data: Any, size: float) -> None:
        kind, side, paid = self.p.kind, np.sign(size), self.getposition(data).price
        leave = self.sell if size > 0 else self.buy
        stop = None
        if kind.stop:
            stop = leave(data, size=abs(size), exectype=bt.Order.Stop, price=paid * (1 - side * kind.stop))
        if kind.target:
            leave(data, size=abs(size), exectype=bt.Order.Limit, price=paid * (1 + side * kind.target), oco=stop)


@dataclass(frozen=True)
class Task:
    """One strategy on one stretch of candles."""

    name: str
    seed: int
    data: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What the judgement said; `p` is that of the random entries."""

    name: str
    p: float
    trips: float
    verdict: str


def run(task: Task) -> Outcome:
    """Trade and judge one strategy."""
    kind, rng = KINDS[task.name], np.random.default_rng([task.seed, 3])
    histories = [_history(path, number) for number, path in enumerate(_files(task.data, kind.symbols))]
    first = int(rng.integers(0, min(len(history.candles) for history in histories) - BARS))
    frames = {h.rules.symbol: _window(h.candles, first, kind, task.seed) for h in histories}
    rules = {h.rules.symbol: replace(h.rules, can_short=True, fee_in_base=False) if kind.short else h.rules for h in histories}
    record = _traded(frames, rules, kind, task.seed)
    facts = RunFacts(
        run_id=f"{task.name}-{task.seed}", kind="real", data=f"{task.seed}", settings="coins", result=f"{task.name}-{task.seed}",
        what="coins", timeframe=Timeframe.parse("1h"), periods_per_year=365, start_equity=StrategySettings().cash,
    )  # fmt: skip
    result = RunResult(
        forecasts=empty_forecasts(), baselines={}, candles=frames, equity=record.equity, fills=record.fills, reads_forecasts=False
    )
    found = judge_run(result, facts, FEW_DRAWS, None, seed=task.seed)  # no ledger: each strategy is somebody's first try
    part = found.strategy
    return Outcome(task.name, float(part["random_entries_p"]), float(part["bets"]), str(found.judgement.verdict))


def _files(data: Sequence[Path], count: int) -> list[Path | None]:
    return [*data, *([None] * count)][:count] if len(data) < count else list(data[:count])


@cache
def _history(path: Path | None, number: int) -> History:
    """A file's candles, or those of the sample market."""
    settings = Settings().feeds if path else Settings().feeds.model_copy(update={"source": "sample", "sample_seed": number})
    symbol = SYMBOL if number == 0 else "ETH/USDT"
    return load_history(settings, symbol, start=None, end=None, clock=CLOCK, file=path)


def _window(candles: pd.DataFrame, first: int, kind: Kind, seed: int) -> pd.DataFrame:
    window = candles.iloc[first : first + BARS]
    return null_market(window, seed) if kind.signs else window


def _traded(frames: dict[str, pd.DataFrame], rules: dict[str, MarketRules], kind: Kind, seed: int) -> Record:
    hour = Timeframe.parse("1h")
    feeds = [Feed(data=frame_data(frame, hour, name=s), rules=rules[s], timeframe=hour) for s, frame in frames.items()]
    cerebro = build_cerebro(feeds, StrategySettings(), strategy=CoinTosser, strategy_params={"kind": kind, "seed": seed})
    return record_of(cerebro.run()[0])


def outcomes(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Each outcome as it comes."""
    if workers == 1:
        yield from map(run, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run, tasks, chunksize=10)


def page(found: Sequence[Outcome], *, command: str, made: str) -> str:
    """The table as Markdown."""
    lines = [
        "# Strategies without skill", "", f"`{command}`, {made}, {os.cpu_count()} cores.", "",
        "| strategies | count | round trips | p < 0.05 (95 %) | p < 0.5 | p uniform (KS) | edge |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in KINDS:
        lines += _row(name, [one for one in found if one.name == name and np.isfinite(one.p)])
    stops = [one for one in found if KINDS[one.name].stop and np.isfinite(one.p)]
    return "\n".join([*lines, *_row("all with stops", stops), *_row("all", [one for one in found if np.isfinite(one.p)]), "", _HOW])


def _row(name: str, own: Sequence[Outcome]) -> list[str]:
    if not own:
        return []
    values = np.array([one.p for one in own])
    passed, edges = int((values < 0.05).sum()), sum(one.verdict == Verdict.EDGE for one in own)
    low, high = wilson(passed, len(own))
    trips = f"{np.median([one.trips for one in own]):.0f}"
    cells = [name, str(len(own)), trips, f"{passed / len(own):.1%} ({low:.1%} to {high:.1%})", f"{np.mean(values < 0.5):.0%}"]
    return ["| " + " | ".join([*cells, f"{kstest(values, 'uniform').pvalue:.3f}", f"{edges} ({edges / len(own):.1%})"]) + " |"]


_HOW: Final = """\
Each strategy trades 600 days of hourly candles from a place of its own, at 10 basis points of fee and 2 of slippage a side, 40 % of its
equity a trade. It enters a flat symbol one bar in fifty and leaves one bar in forty, or at its stop or target. The verdict is that of a
strategy that does not look at forecasts, on its first try and without a ledger. "p uniform" is the p-value of a Kolmogorov-Smirnov test
against the uniform distribution. In the last kind but the sums the direction of every bar was tossed anew as well.

On real candles p need not be uniform to the digit: what a stop does in a real market (a fall that goes on, or turns round right after the
stop) is an effect of the stop and no chance, and the stretches of 600 days overlap. Brackets do worse than random entries: a bar that
touches both of its orders is taken to have touched the stop first. That p is uniform on a market whose path inside each bar is known is
held by tests/reports/statistics/test_random_entries.py, with stops and targets that are hit within a bar among its cases.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run all kinds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="strategies of each kind")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, action="append", default=[], help="candles of BTC/USDT, and once more those of ETH/USDT")
    parser.add_argument("--page", type=Path, default=PAGE)
    said = parser.parse_args(argv)
    logging.getLogger("forwardtrader").setLevel(logging.CRITICAL)
    tasks = [Task(name, said.seed + k, tuple(said.data)) for name in KINDS for k in range(said.count)]
    found = []
    for count, one in enumerate(outcomes(tasks, said.workers), start=1):
        found.append(one)
        print(f"{count}/{len(tasks)} {one.name}: p {one.p:.3f}, {one.trips:.0f} round trips, {one.verdict}", flush=True)
    words = f"python -m benchmarks.random_strategies --count {said.count} --workers {said.workers} --seed {said.seed}"
    words += "".join(f" --data {path.name}" for path in said.data)
    text = page(found, command=words, made=f"{SystemClock().now():%Y-%m-%d}")
    write_text(said.page, text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
