"""Panels whose truth is known: perpetuals of one account that move together, without a signal or with one planted in each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.markets.page import Result
from benchmarks.markets.tasks import CLOCK, HISTORY, PERSISTENCE, PLANTED_IC, SMALLER, TRACK, Task, in_fresh_folder
from forwardtrader.backtest.job import judge_market
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core import fingerprint
from forwardtrader.core.config import changed, parse_assignment
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.feeds.perpetuals.facts import completed
from forwardtrader.models.checks.null_market import planted_market, rebuilt

SYMBOLS: Final = ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT")
# Correlation of the noise of two symbols in a planted panel.
COMMON: Final = 0.6
# Trees are the cheapest of the forecasters that learn; costs are those of perpetuals.
CHEAPER: Final = {
    **SMALLER,
    "models.forecaster": "lightgbm",
    "strategies.horizon": 8,
    "strategies.fee_bps": 5.0,
    "strategies.slippage_bps": 2.0,
}


def run_panel(task: Task) -> Result:
    """Make the panel, run everything on it, and keep what came out."""
    began, worked = time.perf_counter(), time.process_time()
    request = panel_request(task)
    base = base_of(task.data)
    rows = Timeframe.parse("1h").bars(TRACK + HISTORY)
    index = common_bars(base)
    first = int(np.random.default_rng([task.seed, 7]).integers(0, len(index) - rows))
    windows = {symbol: history.candles.loc[index[first : first + rows]] for symbol, history in base.items()}
    made, attainable = planted_panel(windows, task.seed) if task.kind == "planted" else (null_panel(windows, task.seed), 0.0)
    markets = {symbol: _history(base[symbol], bars, task) for symbol, bars in made.items()}
    request = replace(request, first=(index[first] + HISTORY).to_pydatetime(), last=index[first + rows - 1].to_pydatetime())
    with tempfile.TemporaryDirectory(dir=task.folder) as fresh:
        judged, found = judge_market(in_fresh_folder(request, Path(fresh)), markets, CLOCK, in_full=False)
    part: dict[str, Any] = found.strategy
    return Result(
        kind=task.kind, seed=task.seed, digest=task.digest, verdict=str(found.judgement.verdict), reasons=list(found.judgement.reasons),
        rank_ic=float(np.mean([found.forecast[symbol]["lstm"]["rank_ic"] for symbol in made])), attainable=attainable,
        sharpe=float(judged.manifest.strategy.sharpe or 0.0) if judged.manifest.strategy else 0.0, oracle_sharpe=float("nan"),
        bets=float(part["bets"]), psr=float(part.get("psr", np.nan)), random_entries_p=float(part.get("random_entries_p", np.nan)),
        shifted_p=found.evidence.shifted_p, shifted_sharpe=found.evidence.shifted_sharpe,
        seconds=round(time.perf_counter() - began, 2), cpu_seconds=round(time.process_time() - worked, 2),
    )  # fmt: skip


def panel_request(task: Task) -> BacktestRequest:
    """The settings of every panel; the days are those of the candles."""
    overrides = {**CHEAPER, "models.save_path": str(task.folder / "models"), "feeds.symbols": list(SYMBOLS)}
    settings = changed(Settings(), overrides | dict(parse_assignment(text) for text in task.assignments))
    return BacktestRequest(settings=settings, first=CLOCK.at, last=CLOCK.at, command="python -m benchmarks.markets --panels", quiet=True)


@cache
def base_of(data: tuple[Path, ...]) -> Mapping[str, History]:
    """The candles whose volatility, wicks and volume every panel borrows: those of files, or the sample market."""
    feeds = Settings().feeds if data else Settings().feeds.model_copy(update={"source": "sample"})
    files = data or (None,) * len(SYMBOLS)
    return {s: load_history(feeds, s, start=None, end=None, clock=CLOCK, file=file) for s, file in zip(SYMBOLS, files, strict=True)}


def common_bars(base: Mapping[str, History]) -> pd.DatetimeIndex:
    """The bars that all symbols have."""
    index = pd.DatetimeIndex(next(iter(base.values())).candles.index)
    for history in base.values():
        index = index[index.isin(history.candles.index)]
    return index


def null_panel(windows: Mapping[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """Martingales with the sizes and correlations of the real returns: one toss of a coin turns the bar of all symbols, or lets it be."""
    toss = np.random.default_rng([seed, 8]).choice([-1.0, 1.0], size=len(next(iter(windows.values()))))
    return {symbol: rebuilt(bars, toss * own - np.log(np.cosh(own))) for symbol, bars in windows.items() for own in [_returns(bars)]}


def planted_panel(windows: Mapping[str, pd.DataFrame], seed: int) -> tuple[dict[str, pd.DataFrame], float]:
    """A signal of its own in each symbol, and noise that they have in common; with it the mean attainable rank IC."""
    rng = np.random.default_rng([seed, 9])
    common = rng.normal(size=len(next(iter(windows.values()))) - 1)
    made = {}
    for number, (symbol, bars) in enumerate(windows.items()):
        noise = np.sqrt(COMMON) * common + np.sqrt(1.0 - COMMON) * rng.normal(size=len(bars) - 1)
        made[symbol] = planted_market(bars, PLANTED_IC, 1000 * seed + number, persistence=PERSISTENCE, noise=noise)
    return {symbol: each.bars for symbol, each in made.items()}, float(np.mean([each.attainable for each in made.values()]))


def _returns(bars: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    logs = np.log(bars["close"].to_numpy(dtype=np.float64))
    return np.asarray(np.diff(logs, prepend=logs[0]))


def _history(base: History, bars: pd.DataFrame, task: Task) -> History:
    """Funding is the prior, at its usual times: nothing in it can be forecast."""
    prior = Settings().feeds.funding_prior_bps / 1e4
    perpetual = completed(bars, base.timeframe, None, None, hours=base.rules.funding_hours, prior=prior)
    own, source = fingerprint.of_frame(bars), f"{task.kind} panel, seed {task.seed}"
    return replace(base, candles=bars, perpetual=perpetual, gaps=(), fingerprint=own, source=source)
