"""Evaluation of a run: numbers, verdict and alarms of `run.json` from forecasts and equity; the one entry to all statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from forwardtrader.core.settings import ReportSettings
from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import Timeframe, Verdict
from forwardtrader.reports.account_judgement import AccountRecord, AccountTests, RunFacts, examine, random_entries_part, strategy_part
from forwardtrader.reports.forecast_judgement import OURS, SymbolForecasts, across_symbols, details, scoreboard, skill_test
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts
from forwardtrader.reports.summary import summarise_strategy
from forwardtrader.reports.trial_ledger import TrialLedger
from forwardtrader.reports.verdict import ALARM_IC, MIN_BARS, Evidence, RunVerdict, judge

__all__ = ["ForecastResult", "RunFacts", "RunJudgement", "RunResult", "ScoredForecasts", "judge_run", "score_forecasts"]

UNKNOWN_TRIALS: Final = "trials unknown, DSR not computed"
_LATER_HORIZON_SAMPLES: Final = 200
Groups = dict[int, list[SymbolForecasts]]


@dataclass(frozen=True, kw_only=True)
class ForecastResult:
    """What can be scored before anything is traded.

    `forecasts` and each of `baselines` have the columns of `forecasts.parquet` (timestamp, symbol, horizon, location, scale, q05 .. q95,
    p_up, and for the first also model_id and realised), any number of symbols and horizons, or no rows for a strategy without forecasts.
    `candles` are whole, history included, per symbol. `seeds` may hold, per symbol, the locations of each seed (index: bar-open times; one
    column per seed) for the shortest horizon. `name` is that of the forecaster, `compared` names those among the baselines that were
    to be compared with it.
    """

    forecasts: pd.DataFrame
    baselines: Mapping[str, pd.DataFrame]
    candles: Mapping[str, pd.DataFrame]
    seeds: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    name: str = "lstm"
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunResult(ForecastResult):
    """What is evaluated: `equity`, `fills` as in `reports.artefacts`; `sweep` net daily returns per point tried.

    `reads_forecasts` is false for a strategy that does not look at them; it is evaluated by its account alone. `own_rule` is false
    for a strategy of the user's. `seen_until` is the first day that the training data of a forecaster trained before the run does not
    reach. `charges` holds, per perpetual, what a long of one unit pays at each bar's open (quote units), by bar open.
    """

    equity: pd.DataFrame
    fills: pd.DataFrame
    sweep: pd.DataFrame | None = None
    reads_forecasts: bool = True
    own_rule: bool = True
    seen_until: str = ""
    charges: Mapping[str, pd.Series] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoredForecasts:
    """The forecasts by horizon, and the part of `run.json` of each symbol."""

    groups: Groups
    part: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class RunJudgement:
    """Parts of `run.json`, by its own keys; `strategy` holds only what statistics add to the plain numbers."""

    forecast: dict[str, dict[str, Any]]
    strategy: dict[str, Any]
    benchmark: dict[str, dict[str, Any]]
    evidence: Evidence
    judgement: RunVerdict
    not_computed: dict[str, str]

    @property
    def hangs_on_shifted_forecasts(self) -> bool:
        """Whether the strategy would have an edge if its forecasts turned out to have earned it."""
        return self.evidence.has_forecasts and judge(replace(self.evidence, shifted_p=0.0, shifts=1)).verdict is Verdict.EDGE

    def with_shifted(self, runs: ShiftedForecasts, facts: RunFacts) -> RunJudgement:
        """The same run, evaluated again now that the strategy has been run on shifted forecasts."""
        evidence = replace(
            self.evidence, shifted_p=runs.p, shifts=runs.samples, shifted_sharpe=runs.mean_sharpe, shifted_return=runs.mean_return
        )
        added: dict[str, Any] = {"shifted_forecasts_p": None if runs.ended_early else runs.p}
        added |= {"shifted_forecasts_sharpe": runs.mean_sharpe, "shifted_forecasts_return": runs.mean_return}
        evaluated = replace(self, evidence=evidence, judgement=judge(evidence), strategy=self.strategy | added)
        if runs.ended_early:
            why = "one of the first runs on shifted forecasts did at least as well; the others were left out"
            return replace(evaluated, not_computed=self.not_computed | {"strategy.shifted_forecasts_p": why})
        plain = summarise_strategy(runs.equity, runs.fills, facts.periods_per_year, start_equity=facts.start_equity).model_dump()
        low, high = np.quantile(runs.sharpes, [0.05, 0.95])
        row = plain | {"samples": runs.samples, "sharpe_range_90": (float(low), float(high))}
        return replace(evaluated, benchmark=self.benchmark | {"shifted_forecasts": row})

    def parts(self) -> dict[str, Any]:
        """As plain dicts, to be laid over the manifest."""
        return {
            "forecast": self.forecast,
            "strategy": self.strategy,
            "benchmark": self.benchmark,
            "verdict": self.judgement.verdict,
            "verdict_reasons": list(self.judgement.reasons),
            "verdict_gates": [{"asks": gate.asks, "passed": gate.passed, "found": gate.found} for gate in self.judgement.gates],
            "alarms": list(self.judgement.alarms),
            "not_computed": self.not_computed,
        }


def score_forecasts(result: ForecastResult, timeframe: Timeframe, settings: ReportSettings, *, seed: int = 0) -> ScoredForecasts:
    """Score and test what was forecast; whoever trades meanwhile hands the answer to `judge_run`."""
    with one_thread():
        groups = by_horizon(result, timeframe)
        return ScoredForecasts(groups, _forecast_part(groups, settings, seed))


def judge_run(
    result: RunResult, facts: RunFacts, settings: ReportSettings, ledger: TrialLedger | None, *,
    seed: int = 0, scored: ScoredForecasts | None = None,
) -> RunJudgement:  # fmt: skip
    """Score, test and evaluate one run, and enter it into the ledger.

    Args:
        ledger: where trials are counted; None, or one that cannot be read, leaves the deflated Sharpe ratio uncomputed, with the reason.
        seed: of the bootstraps and random entries; equal runs give equal results.
        scored: result of `score_forecasts` on the same forecasts with the same seed, where it was computed already.
    """
    account = AccountRecord(
        equity=result.equity, fills=result.fills, candles=result.candles, facts=facts, sweep=result.sweep, charges=result.charges
    )
    scored_forecasts = scored or score_forecasts(result, facts.timeframe, settings, seed=seed)
    with one_thread():
        tests = examine(account, settings, ledger, seed=seed)
        random_entries = random_entries_part(account, tests)
        evidence = evidence_of(scored_forecasts.groups if result.reads_forecasts else {}, scored_forecasts.part, account, tests)
        evidence = replace(evidence, own_rule=result.own_rule, seen_until=result.seen_until)
    return RunJudgement(
        forecast=scored_forecasts.part,
        strategy=strategy_part(tests, account, settings),
        benchmark={"random_entries": random_entries} if random_entries else {},
        evidence=evidence,
        judgement=judge(evidence),
        not_computed={} if tests.tries is not None else {"strategy.dsr": UNKNOWN_TRIALS},
    )


def by_horizon(result: ForecastResult, timeframe: Timeframe) -> Groups:
    """The forecasts of each horizon, one entry per symbol, shortest horizon first."""
    groups: Groups = {}
    if not len(result.forecasts):
        return groups
    for key, own in result.forecasts.groupby(["horizon", "symbol"], sort=True):
        number, symbol = cast(tuple[int, str], key)
        horizon = int(number)  # older pandas gives a numpy scalar
        frame = own.set_index("timestamp").sort_index()
        seeds = result.seeds.get(symbol) if set(groups) <= {horizon} else None
        known = SymbolForecasts(
            symbol=symbol,
            horizon=horizon,
            frames={OURS: frame, **_baselines(result.baselines, symbol, horizon, frame)},
            candles=result.candles[symbol],
            bars_per_day=timeframe.bars_per_day,
            seeds=None if seeds is None else seeds.reindex(frame.index),
            name=result.name,
            compared=result.compared,
        )
        groups.setdefault(horizon, []).append(known)
    return groups


def _baselines(tables: Mapping[str, pd.DataFrame], symbol: str, horizon: int, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each baseline's rows on the bars of the forecasts, with the same outcomes."""
    found = {}
    for name, table in tables.items():
        match = table.loc[(table["symbol"] == symbol) & (table["horizon"] == horizon)]
        if len(match):
            aligned = match.set_index("timestamp").drop(columns=["realised"], errors="ignore").reindex(frame.index)
            found[name] = aligned.assign(realised=frame["realised"])
    return found


def _forecast_part(groups: Groups, settings: ReportSettings, seed: int) -> dict[str, dict[str, Any]]:
    part: dict[str, dict[str, Any]] = {}
    for place, group in enumerate(groups.values()):
        samples = settings.bootstrap_samples if place == 0 else min(settings.bootstrap_samples, _LATER_HORIZON_SAMPLES)
        across = across_symbols(group)
        for known in group:
            board = scoreboard(known, samples=samples, confidence=settings.confidence, seed=seed) | across
            if known.symbol not in part:
                part[known.symbol] = board | details(known)
            else:
                part[known.symbol].setdefault("horizons", {})[str(known.horizon)] = board
    return part


def evidence_of(groups: Groups, forecast: Mapping[str, Mapping[str, Any]], account: AccountRecord, tests: AccountTests) -> Evidence:
    """Gather what the verdict rests on; skill is tested over all symbols of a horizon together, horizons by Bonferroni."""
    skill = {horizon: skill_test(group) for horizon, group in groups.items()}
    p_values = [test.p_above for test in skill.values() if math.isfinite(test.p_above)]
    scores = [part["lstm"] for part in forecast.values()]
    shortest = min(groups) if groups else 1
    year = account.facts.periods_per_year
    largest_rank_ic = _largest(score["rank_ic"] for score in scores)
    ruined = metrics.ruin(account.equity["equity"])
    return Evidence(
        years=len(tests.returns) / year,
        bets=tests.path.bets,
        total_return=float(np.prod(1.0 + tests.returns) - 1.0),
        ruined=f"on {ruined:%Y-%m-%d %H:%M}" if ruined is not None else "",
        sharpe=math.nan if ruined is not None else tests.moments.sharpe * math.sqrt(year),
        psr=math.nan if ruined is not None else tests.psr,
        dsr=math.nan if ruined is not None else tests.dsr,
        trials=None if tests.tries is None else tests.tries.trials,
        timing_p=tests.entries.p,
        has_forecasts=bool(groups),
        independent_bars=_largest(score["n"] / shortest for score in scores),
        skill_p=min(1.0, min(p_values) * len(skill)) if p_values else math.nan,
        # The pooled one is tested; a single one large enough for an alarm must not hide in the mean.
        rank_ic=largest_rank_ic if largest_rank_ic > ALARM_IC or not skill else skill[shortest].mean,
        ic=_largest(score["ic"] for score in scores),
        accuracy=_largest(score["accuracy"] for score in scores),
        smoothness=smoothness(metrics.daily(account.equity["equity"])),
        coverage={symbol: part["lstm"]["coverage_90"] for symbol, part in forecast.items() if part["lstm"]["n"] >= MIN_BARS},
    )


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def smoothness(equity: pd.Series) -> float:
    """R^2 of log equity against time over the days on which it moved; NaN for fewer than 20 of them."""
    values = equity.to_numpy(dtype=np.float64)
    moved = values[np.append(True, np.diff(values) != 0)] if len(values) else values
    if len(moved) < 20 or (moved <= 0).any():
        return math.nan
    return float(np.corrcoef(np.log(moved), np.arange(len(moved)))[0, 1] ** 2)
