"""How often the verdict is right on markets whose truth is known: "edge" where nobody can forecast, and where a signal was planted.

    python -m benchmarks.markets [--panels] [--null 200] [--planted 50] [--workers 1] [--seed 0] [--data FILE]

Every market goes the whole way of `run_backtest.py`: models trained walk-forward, forecasts traded through Backtrader, statistics, verdict.
Each result is one line in `var/markets.jsonl` the moment it is there; the same command goes on where it was stopped, and other code,
settings or candles begin anew. With `--panels` a market is three perpetuals in one account, traded long and short. The tables land in
`benchmarks/markets.md` and `benchmarks/panels.md`.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.markets.page import OF_MARKETS, OF_PANELS, Result, page
from benchmarks.markets.panels import COMMON, panel_request, run_panel
from benchmarks.markets.tasks import CLOCK, HISTORY, PERSISTENCE, PLANTED_IC, SMALLER, TRACK, Task, in_fresh_folder
from forwardtrader.backtest.job import judge_market
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import code_of
from forwardtrader.backtest.simulation import simulate
from forwardtrader.core import fingerprint, log
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.config import changed, parse_assignment
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.models.checks.null_market import PlantedMarket, null_market, planted_market, trailing_volatility
from forwardtrader.models.forecaster import RecordedForecasts, normal_frame
from forwardtrader.reports.statistics.metrics import daily, returns_of

SYMBOL: Final = "BTC/USDT"
RESULTS: Final = Path("var/markets.jsonl")
PAGE: Final = Path(__file__).parents[1] / "markets.md"
PANELS_PAGE: Final = PAGE.with_name("panels.md")
# The rule that trades the forecast and nothing else: no premium for holding.
TRADES_THE_FORECAST: Final = {"strategies.horizon": 8, "strategies.holding": "0d", "strategies.margin": 1.0, "strategies.min_trade": 0.25}


def run(task: Task) -> Result:
    """Make the market, run everything on it, and keep what came out."""
    began, worked = time.perf_counter(), time.process_time()
    request = request_of(task)
    base = candles_of(request, task.data)
    window = _window(base, task.seed)
    planted = planted_market(window, PLANTED_IC, task.seed, persistence=PERSISTENCE) if task.kind == "planted" else None
    bars = planted.bars if planted else null_market(window, task.seed)
    history = replace(base, candles=bars, gaps=(), fingerprint=fingerprint.of_frame(bars), source=f"{task.kind} market, seed {task.seed}")
    request = replace(request, first=(bars.index[0] + HISTORY).to_pydatetime(), last=bars.index[-1].to_pydatetime())
    with tempfile.TemporaryDirectory(dir=task.folder) as fresh:
        request = in_fresh_folder(request, Path(fresh))
        judged, verdict = judge_market(request, {SYMBOL: history}, CLOCK)
    oracle = oracle_sharpe(planted, history, request) if planted else float("nan")
    part, score = verdict.strategy, verdict.forecast[SYMBOL]["lstm"]
    return Result(
        kind=task.kind, seed=task.seed, digest=task.digest, verdict=str(verdict.judgement.verdict),
        reasons=list(verdict.judgement.reasons), rank_ic=float(score["rank_ic"]), attainable=planted.attainable if planted else 0.0,
        sharpe=float(judged.manifest.strategy.sharpe or 0.0) if judged.manifest.strategy else 0.0, oracle_sharpe=oracle,
        bets=float(part["bets"]), psr=float(part["psr"]), random_entries_p=float(part["random_entries_p"]),
        shifted_p=verdict.evidence.shifted_p, shifted_sharpe=verdict.evidence.shifted_sharpe,
        seconds=round(time.perf_counter() - began, 2), cpu_seconds=round(time.process_time() - worked, 2),
    )  # fmt: skip


def request_of(task: Task) -> BacktestRequest:
    """The settings of every market; the days are those of the candles."""
    overrides = {**SMALLER, **TRADES_THE_FORECAST, "models.save_path": str(task.folder / "models"), "feeds.symbols": [SYMBOL]}
    overrides |= dict(parse_assignment(text) for text in task.assignments)
    settings = changed(Settings(), overrides)
    return BacktestRequest(settings=settings, first=CLOCK.at, last=CLOCK.at, command="python -m benchmarks.markets", quiet=True)


def candles_of(request: BacktestRequest, data: Sequence[Path]) -> History:
    """The candles whose volatility, wicks and volume every market borrows: those of a file, or the sample market."""
    feeds = request.settings.feeds if data else request.settings.feeds.model_copy(update={"source": "sample"})
    return load_history(feeds, SYMBOL, start=None, end=None, clock=CLOCK, file=data[0] if data else None)


def _window(base: History, seed: int) -> pd.DataFrame:
    """As many bars as one market needs, from a place of its own."""
    rows = Timeframe.parse("1h").bars(TRACK + HISTORY)
    first = int(np.random.default_rng([seed, 7]).integers(0, len(base.candles) - rows))
    return base.candles.iloc[first : first + rows]


@dataclass(frozen=True)
class _Knowing:
    """Forecasts by who knows the signal, in the place of the network's."""

    frame: pd.DataFrame

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> RecordedForecasts:
        return RecordedForecasts(self.frame, horizon, timeframe_s=timeframe.seconds)


def oracle_sharpe(planted: PlantedMarket, history: History, request: BacktestRequest) -> float:
    """Annual net Sharpe ratio of the same strategy, costs included, on the expected returns that the signal implies."""
    horizon = request.settings.strategies.horizon
    usual = trailing_volatility(planted.bars)
    reach = (1.0 - PERSISTENCE**horizon) / (1.0 - PERSISTENCE)
    frame = normal_frame(
        planted.bars.index, PLANTED_IC * planted.signal.to_numpy() * usual * reach, usual * np.sqrt(horizon), model_id="oracle"
    )
    record = simulate({SYMBOL: history}, _Knowing(frame), request)
    returns = returns_of(daily(record.equity["equity"]), request.settings.strategies.cash)
    return float(returns.mean() / returns.std() * np.sqrt(365))


def digest_of(assignments: Sequence[str], data: Sequence[Path], *, panels: bool = False) -> str:
    """What results have in common that may stand in one table: code, settings, candles."""
    task = Task("null", 0, tuple(assignments), tuple(data), Path("unused"), "")
    request = panel_request(task) if panels else request_of(task)
    tree = request.settings.model_dump(mode="json")
    chosen = {room: tree[room] for room in ("models", "strategies")} | {"planted": [PLANTED_IC, PERSISTENCE], "days": [TRACK, HISTORY]}
    chosen |= {"symbols": tree["feeds"]["symbols"], "common": COMMON} if panels else {}
    return fingerprint.of_value([chosen, code_of(request), [path.name for path in data] or "sample"])[:16]


def done_before(path: Path, digest: str) -> list[Result]:
    """Results of the same digest; a line that was cut short is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            tree: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if tree.get("digest") == digest:
            found.append(Result(**tree))
    return found


def results_of(tasks: Sequence[Task], workers: int, run: Callable[[Task], Result]) -> Iterator[Result]:
    """Each result as it comes; one worker is this process, so that compiled code is shared by all markets."""
    if workers == 1:
        yield from map(run, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, task) for task in tasks]):
            yield future.result()


def _append(path: Path, result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def _tell(result: Result, count: int, total: int) -> None:
    print(
        f"{count}/{total} {result.kind} {result.seed}: {result.verdict}; rank IC {result.rank_ic:+.3f}, Sharpe {result.sharpe:+.2f}, "
        f"{result.bets:.0f} bets, {result.cpu_seconds:.1f} CPU s",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--null", type=int, default=200, metavar="N", help="markets without any signal")
    parser.add_argument("--planted", type=int, default=50, metavar="M", help="markets with a planted signal")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the first market; the others follow")
    parser.add_argument("--panels", action="store_true", help="three perpetuals in one account in place of one coin")
    parser.add_argument("--data", type=Path, action="append", default=[], help="candles that lend volatility and volume; of panels three")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="room.key=value")
    said = parser.parse_args(argv)
    logging.getLogger("jax").setLevel(logging.ERROR)
    folder = (RESULTS.parent / "markets").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    digest = digest_of(said.assignments, said.data, panels=said.panels)
    wanted = [*_named("planted", said.planted, said.seed), *_named("null", said.null, said.seed)]
    known = {(r.kind, r.seed): r for r in done_before(said.results, digest)}
    missing = [Task(k, s, tuple(said.assignments), tuple(said.data), folder, digest) for k, s in wanted if (k, s) not in known]
    with log.log_to(folder / "log.jsonl"):
        for count, result in enumerate(results_of(missing, said.workers, run_panel if said.panels else run), start=1):
            _append(said.results, result)
            known[result.kind, result.seed] = result
            _tell(result, count, len(missing))
    _write(said, [known[key] for key in wanted])


def _named(kind: str, count: int, seed: int) -> Iterable[tuple[str, int]]:
    return ((kind, seed + k) for k in range(count))


def _write(said: argparse.Namespace, results: list[Result]) -> None:
    words = "python -m benchmarks.markets" + (" --panels" if said.panels else "")
    words += f" --null {said.null} --planted {said.planted} --workers {said.workers} --seed {said.seed}"
    words += "".join(f" --set {text}" for text in said.assignments) + "".join(f" --data {path.name}" for path in said.data)
    how, target = (OF_PANELS, PANELS_PAGE) if said.panels else (OF_MARKETS, PAGE)
    text = page(results, command=words, made=f"{SystemClock().now():%Y-%m-%d}", machine=f"{os.cpu_count()} cores", how=how)
    write_text(said.page or target, text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
