"""The run of `--optimise`: the accounts of all points, a choice at each boundary, and one run that trades what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
from rich.console import Console

from forwardtrader.backtest.job import FinishedRun, run_backtest
from forwardtrader.backtest.optimise.choice import choices
from forwardtrader.backtest.optimise.plan import SCORES, OptimisationPlan, read_optimisation
from forwardtrader.backtest.optimise.stability import Optimisation
from forwardtrader.backtest.progress import RunProgress
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.sweep.bench import SweepBench, request_at
from forwardtrader.backtest.sweep.file import Point
from forwardtrader.backtest.sweep.point import PointResult
from forwardtrader.backtest.sweep.search import daily_of, flags, points_folder
from forwardtrader.backtest.sweep.store import SweepStore
from forwardtrader.core import fingerprint
from forwardtrader.core.clock import Clock, FixedClock
from forwardtrader.core.errors import InvalidSetting, StrategyFailed, TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.models.walk_forward import boundaries
from forwardtrader.strategies.stints.stint import Stint

# So long a market may rest at the beginning of a window.
RESTS: Final = timedelta(days=5)


@dataclass(frozen=True)
class Tried:
    """The points that came to a result, with the accounts they had, and why the others are left out."""

    points: Sequence[Point]
    results: Sequence[PointResult]
    left_out: Mapping[str, str]
    days_per_year: int


def run_optimisation(request: BacktestRequest, clock: Clock, console: Console) -> FinishedRun:
    """Trade every point on paper from one window before the first day on, choose at each boundary, and run what was chosen.

    An interrupted one resumes where it stopped.

    Raises:
        ConfigError: the file is wrong, or goes with no other mode.
        TooLittleHistory: there is no past of one window before the first boundary.
        TradingError: whatever stands in the way of a run.
    """
    if request.optimise is None or request.sweep is not None or request.audit:
        raise InvalidSetting("--optimise, --sweep and --audit are separate commands; give them one after the other")
    plan = read_optimisation(request.optimise, request.settings, request.strategy)
    identity = repr((plan.points, plan.window, plan.every, plan.score))
    folder, resumed = points_folder(request, identity, clock, "optimise")
    if resumed.last != request.last:
        request, clock = resumed, FixedClock(resumed.last)
    with RunProgress(console, shown=not request.quiet) as progress:
        told = _chosen(plan, request, clock, SweepStore(folder), progress)
    traded = replace(request, stints=_stints(told, request), choice=fingerprint.of_value(identity), window=plan.window)
    days = told.daily.index >= pd.Timestamp(request.first).floor("D")
    run = run_backtest(traded, clock, console, sweep=told.daily.loc[days], optimisation=told.section)
    SweepStore(folder).note(finished="yes")
    return run


def _chosen(plan: OptimisationPlan, request: BacktestRequest, clock: Clock, store: SweepStore, progress: RunProgress) -> Optimisation:
    """The accounts of all points, and what is chosen at each boundary."""
    moments = boundaries(request.first, request.last, plan.every)
    start = replace(request, first=moments[0] - plan.window, quiet=True, as_json=False, open_page=False)
    tried = _tried(plan, start, clock, store, progress, looks=len(moments))
    daily, days = daily_of(tried.results), tried.days_per_year
    _require_past(daily, start.first, plan)
    columns = {key: [point[key] for point in tried.points] for key in plan.points.keys}
    chosen = choices(daily, columns, moments, plan.window, SCORES[plan.score], days, grid=not plan.points.trials)
    lag = request.settings.models.deployment_lag * Timeframe.parse(request.settings.feeds.timeframe).delta
    return Optimisation(
        plan=plan, points=tried.points, daily=daily, chosen=chosen, left_out=tried.left_out, days_per_year=days,
        since=[request.first, *(choice.boundary + lag for choice in chosen[1:])],
        first=request.first, last=request.last, cash=request.settings.strategies.cash,
    )  # fmt: skip


def _tried(
    plan: OptimisationPlan, request: BacktestRequest, clock: Clock, store: SweepStore, progress: RunProgress, *, looks: int
) -> Tried:
    points = plan.candidates()
    with progress.stage("points", "accounts of the points") as stage:
        bench = SweepBench(request, clock, store, store.path.parent.name, progress, lambda done: stage(done, len(points)), looks=looks)
        try:
            results = bench.evaluate(points)
        except TooLittleHistory as error:
            raise _too_short(plan, request.first, str(error)) from error
    # One that is ruined some day can be chosen until then: whoever leaves it out knows the future.
    failed = {flags(point): result.trouble for point, result in zip(points, results, strict=True) if not result.result}
    kept = [(point, result) for point, result in zip(points, results, strict=True) if result.result]
    if not kept or bench.kind is None:
        named, why = next(iter(failed.items()))
        raise StrategyFailed(f"no point of {plan.file} came to a result; {named}: {why}")
    bench.note_likeness(daily_of([result for _, result in kept]))
    return Tried([point for point, _ in kept], [result for _, result in kept], failed, bench.kind.periods_per_year)


def _require_past(daily: pd.DataFrame, first: datetime, plan: OptimisationPlan) -> None:
    """Raises TooLittleHistory where the first choice would be made on less than its window, but for days on which a market rests."""
    begins = daily.index[0].to_pydatetime()
    if begins > first + RESTS:
        raise _too_short(plan, first, f"the candles begin on {begins:%Y-%m-%d}; start later, with --from")


def _too_short(plan: OptimisationPlan, first: datetime, why: str) -> TooLittleHistory:
    window = f"{plan.window.days}d before the first boundary on {first + plan.window:%Y-%m-%d}"
    return TooLittleHistory(f"{plan.file}: choosing needs a window of {window}, and {why}; or set a shorter window")


def _stints(told: Optimisation, request: BacktestRequest) -> list[Stint]:
    """What is in force from when; nobody leaves for what is in force already."""
    made = [request_at(request, told.points[choice.number]) for choice in told.chosen]
    stints = [Stint(since=at, settings=one.settings.strategies, strategy=one.strategy) for at, one in zip(told.since, made, strict=True)]
    before = [None, *((stint.settings, stint.strategy) for stint in stints)]
    return [stint for stint, last in zip(stints, before, strict=False) if (stint.settings, stint.strategy) != last]
