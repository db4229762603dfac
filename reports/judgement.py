"""From forecasts and an account's life to the numbers, the verdict and the alarms of `run.json`: the one entry to all statistics."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from core import log
from core.errors import StoreDamaged
from core.settings import ReportSettings
from core.types import Timeframe
from reports import metrics
from reports.bootstrap import Floats
from reports.forecast_judgement import LSTM, SymbolForecasts, details, scoreboard, skill_test
from reports.overfitting import backtest_overfitting
from reports.random_entries import RandomEntries, compare, exposure_path
from reports.reality_check import superior_predictive_ability
from reports.round_trips import round_trips
from reports.sharpe_tests import (
    SharpeMoments,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_interval,
    sharpe_moments,
)
from reports.summary import summarise_strategy
from reports.trial_ledger import Trial, TrialLedger, Tries, landmarks_of
from reports.verdict import Evidence, Judgement, judge

UNKNOWN_TRIALS: Final = "trials unknown, DSR not computed"
_LATER_HORIZON_SAMPLES: Final = 200
_RANDOM_PATHS: Final = 500


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What names a run as a trial.

    `data` and `settings` are fingerprints of the candles and of everything that was chosen, `result` one of what came out, `what` says in a
    few words what was tried. `periods_per_year` counts days, 365 or 252; `start_equity` is the cash before the first bar.
    """

    run_id: str
    kind: str
    data: str
    settings: str
    result: str
    what: str
    timeframe: Timeframe
    periods_per_year: int
    start_equity: float


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What is judged.

    `forecasts` and each of `baselines` have the columns of `forecasts.parquet` (timestamp, symbol, horizon, location, scale, q05 .. q95,
    p_up, and for the first also model_id and realised), any number of symbols and horizons, or no rows for a strategy without forecasts.
    `equity`, `fills` are as in `reports.artefacts`; `candles` are whole, history included, per symbol. `seeds` may hold, per symbol, the
    locations of each seed (index: bar-open times; one column per seed) for the first horizon; `sweep` net daily returns per point tried.
    """

    forecasts: pd.DataFrame
    baselines: Mapping[str, pd.DataFrame]
    equity: pd.DataFrame
    fills: pd.DataFrame
    candles: Mapping[str, pd.DataFrame]
    seeds: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    sweep: pd.DataFrame | None = None


@dataclass(frozen=True)
class RunJudgement:
    """Parts of `run.json`, by its own keys; `strategy` holds only what statistics add to the plain numbers."""

    forecast: dict[str, dict[str, Any]]
    strategy: dict[str, Any]
    benchmark: dict[str, dict[str, Any]]
    judgement: Judgement
    not_computed: dict[str, str]

    def parts(self) -> dict[str, Any]:
        """As plain dicts, to be laid over the manifest."""
        return {
            "forecast": self.forecast,
            "strategy": self.strategy,
            "benchmark": self.benchmark,
            "verdict": self.judgement.verdict,
            "verdict_reasons": list(self.judgement.reasons),
            "alarms": list(self.judgement.alarms),
            "not_computed": self.not_computed,
        }


def judge_run(result: RunResult, facts: RunFacts, settings: ReportSettings, ledger: TrialLedger | None, *, seed: int = 0) -> RunJudgement:
    """Score, test and judge one run, and enter it into the ledger.

    Args:
        ledger: where trials are counted; None, or one that cannot be read, leaves the deflated Sharpe ratio uncomputed and says so.
        seed: of the bootstraps.
    """
    groups = by_horizon(result, facts)
    forecast = _forecast_part(groups, settings, seed)
    days = metrics.returns_of(metrics.daily(result.equity["equity"]), facts.start_equity)
    returns = np.nan_to_num(days.to_numpy(dtype=np.float64))
    moments = sharpe_moments(returns)
    tries = _counted(result, facts, moments, ledger)
    entries = compare(exposure_path(result.equity, result.fills, result.candles), samples=_RANDOM_PATHS, seed=seed)
    strategy = _strategy_part(result, returns, moments, tries, entries, facts, settings, seed)
    evidence = _evidence(result, groups, forecast, strategy, moments, entries, tries, returns, facts)
    missing = {} if tries is not None else {"strategy.dsr": UNKNOWN_TRIALS}
    return RunJudgement(forecast, strategy, _benchmark_part(result, entries, facts), judge(evidence), missing)


def by_horizon(result: RunResult, facts: RunFacts) -> dict[int, list[SymbolForecasts]]:
    """The forecasts of each horizon, one entry per symbol, shortest horizon first."""
    table = result.forecasts
    if not len(table):
        return {}
    groups: dict[int, list[SymbolForecasts]] = {}
    for key, own in table.groupby(["horizon", "symbol"], sort=True):
        horizon, symbol = int(cast(tuple[Any, Any], key)[0]), str(cast(tuple[Any, Any], key)[1])
        frame = own.set_index("timestamp").sort_index()
        frames = {LSTM: frame}
        for name, rows in result.baselines.items():
            match = rows.loc[(rows["symbol"] == symbol) & (rows["horizon"] == horizon)]
            if len(match):
                aligned = match.set_index("timestamp").drop(columns=["realised"], errors="ignore").reindex(frame.index)
                frames[name] = aligned.assign(realised=frame["realised"])
        seeds = result.seeds.get(symbol) if set(groups) <= {horizon} else None
        known = SymbolForecasts(
            symbol=symbol,
            horizon=horizon,
            frames=frames,
            candles=result.candles[symbol],
            bars_per_day=facts.timeframe.bars_per_day,
            seeds=None if seeds is None else seeds.reindex(frame.index),
        )
        groups.setdefault(horizon, []).append(known)
    return groups


def _forecast_part(groups: Mapping[int, list[SymbolForecasts]], settings: ReportSettings, seed: int) -> dict[str, dict[str, Any]]:
    part: dict[str, dict[str, Any]] = {}
    for place, group in enumerate(groups.values()):
        samples = settings.bootstrap_samples if place == 0 else min(settings.bootstrap_samples, _LATER_HORIZON_SAMPLES)
        for known in group:
            board = scoreboard(known, samples=samples, confidence=settings.confidence, seed=seed)
            if known.symbol not in part:
                part[known.symbol] = board | details(known)
            else:
                part[known.symbol].setdefault("horizons", {})[str(known.horizon)] = board
    return part


def _counted(result: RunResult, facts: RunFacts, moments: SharpeMoments, ledger: TrialLedger | None) -> Tries | None:
    """Enter the run, then count all trials on these markets, itself among them; None where that cannot be done."""
    if ledger is None:
        return None
    first, last = result.equity.index[0], result.equity.index[-1]
    marks = {symbol: landmarks_of(frame.loc[first:last]) for symbol, frame in result.candles.items()}
    trial = Trial(
        run_id=facts.run_id,
        symbols=tuple(result.candles),
        kind=facts.kind,
        data=facts.data,
        settings=facts.settings,
        result=facts.result,
        what=facts.what,
        moments=moments,
        periods_per_year=facts.periods_per_year,
        landmarks=marks,
    )
    try:
        ledger.record(trial)
        return ledger.tries_on(marks, facts.periods_per_year)
    except StoreDamaged as error:
        log.event(log.logger("reports"), "trials_unknown", logging.WARNING, reason=str(error))
        return None


def _strategy_part(
    result: RunResult,
    returns: Floats,
    moments: SharpeMoments,
    tries: Tries | None,
    entries: RandomEntries,
    facts: RunFacts,
    settings: ReportSettings,
    seed: int,
) -> dict[str, Any]:
    year = facts.periods_per_year
    part: dict[str, Any] = {
        "sharpe_ci": sharpe_interval(returns, year, samples=settings.bootstrap_samples, confidence=settings.confidence, seed=seed),
        "psr": probabilistic_sharpe(moments),
        "skew": moments.skew,
        "kurtosis": moments.kurtosis,
        "minimum_track_record_years": minimum_track_record(moments, confidence=settings.confidence) / year,
        "random_entries_p": entries.p,
        "spa_p": _spa(result, returns, entries, facts, seed),
    }
    if tries is not None:
        part |= {
            "dsr": deflated_sharpe(moments, tries.trials, tries.variance),
            "trials": tries.trials,
            "expected_best_sharpe": expected_best_sharpe(tries.trials, tries.variance) * math.sqrt(year),
            "minimum_backtest_years": minimum_backtest_years(tries.trials),
        }
    if result.sweep is not None:
        part["pbo"] = backtest_overfitting(result.sweep.to_numpy(dtype=np.float64)).pbo
    return part


def _spa(result: RunResult, returns: Floats, entries: RandomEntries, facts: RunFacts, seed: int) -> dict[str, float]:
    """Superior predictive ability of the strategy (and of a sweep's other points) over cash, holding and random entries."""
    rivals = {"cash": np.zeros(len(returns))}
    if "buy_and_hold" in result.equity:
        rivals["buy_and_hold"] = metrics.returns_of(metrics.daily(result.equity["buy_and_hold"]), facts.start_equity).to_numpy()
    if entries.samples:
        rivals["random_entries"] = metrics.returns_of(metrics.daily(_curve(entries, result, facts)), facts.start_equity).to_numpy()
    own = returns[:, None]
    if result.sweep is not None and len(result.sweep) == len(returns):
        own = np.column_stack([own, np.nan_to_num(result.sweep.to_numpy(dtype=np.float64))])
    return {name: superior_predictive_ability(np.nan_to_num(rival), own, seed=seed).p for name, rival in rivals.items()}


def _benchmark_part(result: RunResult, entries: RandomEntries, facts: RunFacts) -> dict[str, dict[str, Any]]:
    """The random path with the median Sharpe ratio, in the keys of the strategy."""
    if not entries.samples:
        return {}
    equity = pd.DataFrame({"equity": _curve(entries, result, facts)})
    plain = summarise_strategy(equity, result.fills.iloc[:0], facts.periods_per_year, start_equity=facts.start_equity).model_dump()
    own = summarise_strategy(result.equity, result.fills, facts.periods_per_year, start_equity=facts.start_equity)
    # The same trades at other times: what they number and cost is the strategy's own.
    same = {name: getattr(own, name) for name in ("trades", "turnover", "fees", "slippage", "exposure", "time_in_market", "fills")}
    low, high = np.quantile(entries.sharpes[np.isfinite(entries.sharpes)], [0.05, 0.95]) * _annual(facts)
    return {"random_entries": plain | same | {"samples": entries.samples, "sharpe_range_90": (float(low), float(high))}}


def _curve(entries: RandomEntries, result: RunResult, facts: RunFacts) -> pd.Series:
    return pd.Series(facts.start_equity * np.cumprod(1.0 + entries.net), index=result.equity.index, name="equity")


def _annual(facts: RunFacts) -> float:
    """From a Sharpe ratio per bar to one per year."""
    return math.sqrt(facts.periods_per_year * max(facts.timeframe.bars_per_day, 1.0))


def _evidence(
    result: RunResult,
    groups: Mapping[int, list[SymbolForecasts]],
    forecast: Mapping[str, Mapping[str, Any]],
    strategy: Mapping[str, Any],
    moments: SharpeMoments,
    entries: RandomEntries,
    tries: Tries | None,
    returns: Floats,
    facts: RunFacts,
) -> Evidence:
    tests = {horizon: skill_test(group) for horizon, group in groups.items()}
    scores = [part["lstm"] for part in forecast.values()]
    p_values = [test.p_above for test in tests.values() if math.isfinite(test.p_above)]
    first = min(groups) if groups else 1
    return Evidence(
        years=len(returns) / facts.periods_per_year,
        trades=len(round_trips(result.fills)),
        total_return=float(np.prod(1.0 + returns) - 1.0),
        sharpe=moments.sharpe * math.sqrt(facts.periods_per_year),
        psr=strategy["psr"],
        dsr=strategy.get("dsr", math.nan),
        trials=None if tries is None else tries.trials,
        timing_p=entries.p,
        has_forecasts=bool(groups),
        independent_bars=max((score["n"] / first for score in scores), default=math.nan),
        skill_p=min(1.0, min(p_values) * len(tests)) if p_values else math.nan,
        rank_ic=_worst([score["rank_ic"] for score in scores], tests, first),
        ic=max((score["ic"] for score in scores if math.isfinite(score["ic"])), default=math.nan),
        accuracy=max((score["accuracy"] for score in scores if math.isfinite(score["accuracy"])), default=math.nan),
        smoothness=smoothness(metrics.daily(result.equity["equity"])),
    )


def _worst(values: list[float], tests: Mapping[int, Any], first: int) -> float:
    """The rank IC to speak of: the pooled one, or the largest single one where that is an alarm."""
    pooled = tests[first].mean if first in tests else math.nan
    return max([pooled, *[value for value in values if math.isfinite(value) and value > 0.10]], default=math.nan)


def smoothness(equity: pd.Series) -> float:
    """R^2 of log equity against time over the days on which it moved; NaN for fewer than 20."""
    values = equity.to_numpy(dtype=np.float64)
    moved = values[np.append(True, np.diff(values) != 0)] if len(values) else values
    if len(moved) < 20 or (moved <= 0).any():
        return math.nan
    curve, time = np.log(moved), np.arange(len(moved), dtype=np.float64)
    return float(np.corrcoef(curve, time)[0, 1] ** 2)
