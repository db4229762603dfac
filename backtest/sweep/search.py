"""The search of `--sweep`: every point of a grid or of an optimiser, the plateau among them, and the run of the chosen point."""

from __future__ import annotations

import json
import math
import shlex
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml
from rich.console import Console

from forwardtrader.backtest.job import FinishedRun, run_backtest
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.progress import RunProgress
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import choices, code_of, data_section
from forwardtrader.backtest.sweep.bench import SweepBench, request_at
from forwardtrader.backtest.sweep.file import Axis, Point, SweepPlan, parameter, read_plan
from forwardtrader.backtest.sweep.point import PointResult
from forwardtrader.backtest.sweep.store import FILE_NAME as STORE_NAME
from forwardtrader.backtest.sweep.store import SweepStore
from forwardtrader.core import fingerprint, log
from forwardtrader.core.clock import Clock, FixedClock
from forwardtrader.core.errors import InvalidSetting, StoreDamaged, StrategyFailed
from forwardtrader.reports import sweep_manifest
from forwardtrader.reports.artefacts import write_table
from forwardtrader.reports.manifest import make_run_dir, make_run_id
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.sweep_page import render_sweep_page
from forwardtrader.reports.sections.optimisation import PathSharpes
from forwardtrader.reports.statistics.plateau import choose, plateau_scores
from forwardtrader.reports.statistics.selection.overfitting import chosen_paths
from forwardtrader.reports.sweep_manifest import POINTS, LeftOut, SweepManifest, SweepPoint

# Points of a search that are proposed before the next ones learn from them; part of what makes a search the same on any machine.
AT_A_TIME: Final = 4


@dataclass(frozen=True)
class FinishedSweep:
    """A sweep's folder, its manifest, and the run of the chosen point."""

    folder: Path
    manifest: SweepManifest
    run: FinishedRun

    @property
    def page(self) -> Path:
        return self.folder / "index.html"


def run_sweep(request: BacktestRequest, clock: Clock, console: Console) -> FinishedSweep:
    """Try every point, choose one, and write the pages. An interrupted sweep resumes where it stopped.

    Raises:
        ConfigError: the sweep file is wrong, or goes with no other mode.
        TradingError: whatever stands in the way of a run.
    """
    if request.sweep is None or request.audit:
        raise InvalidSetting("--sweep and --audit are two commands; give them one after the other")
    file = request.sweep
    plan = read_plan(file, request.settings, request.strategy)
    folder, resumed = points_folder(request, repr(plan), clock, "sweep")
    if resumed.last != request.last:
        # As it was when the sweep began: what has become known since would make other points of those that are left.
        request, clock = resumed, FixedClock(resumed.last)
    quiet = replace(request, quiet=True, as_json=False, open_page=False)
    with RunProgress(console, shown=not request.quiet) as progress, progress.stage("sweep", "points of the sweep") as stage:
        total = plan.trials or len(plan.grid())
        bench = SweepBench(quiet, clock, SweepStore(folder), folder.name, progress, lambda done: stage(done, total))
        tried = list(_search(plan, bench) if plan.trials else _grid(plan, bench))
    left_out = [LeftOut(flags=flags(point), reason=result.trouble) for point, result in tried if result.trouble]
    points, results = usable(file, tried)
    if not (request.quiet or request.as_json):
        console.print(f"{len(tried)} points: {bench.fresh} tried now, the others known from before")
        for left in left_out:
            console.print(f"left out {left.flags}: {left.reason}", style="yellow", soft_wrap=True, markup=False)
    columns = {key: [point[key] for point in points] for key in plan.keys}
    sharpes = [_sharpe(result) for result in results]
    scores = plateau_scores(columns, sharpes, grid=not plan.trials)
    best = choose(scores, sharpes)
    daily = daily_of(results)
    bench.note_likeness(daily)
    run = run_backtest(replace(request_at(quiet, points[best]), name=f"{request.name} best of sweep".strip()), clock, console, sweep=daily)
    table = _table(columns, results, scores)
    manifest = _manifest(request, plan, folder, clock, table, best, points, run).model_copy(
        update={"left_out": left_out, "paths": paths_of(daily, run.artefacts.manifest.data.periods_per_year)}
    )
    write_table(folder / POINTS, table)
    sweep_manifest.write(folder, manifest)
    SweepStore(folder).note(finished="yes")
    render_sweep_page(folder)
    render_run_index(folder.parent, Path(request.settings.live.sessions_path))
    if request.open_page:
        webbrowser.open((folder / "index.html").resolve().as_uri())
    return FinishedSweep(folder, manifest, run)


def usable(file: Path, tried: Sequence[tuple[Point, PointResult]]) -> tuple[list[Point], list[PointResult]]:
    """The points that can be chosen, with their results.

    Raises:
        StrategyFailed: there is none; the message has the reason of the first.
    """
    found = [(point, result) for point, result in tried if not result.trouble]
    if not found:
        point, result = tried[0]
        raise StrategyFailed(f"no point of {file} came to a result; {flags(point)}: {result.trouble}")
    return [point for point, _ in found], [result for _, result in found]


def flags(point: Point) -> str:
    """The point as command-line arguments, secrets struck out."""
    return log.redact(shlex.join(word for key, value in point.items() for word in _flag(key, _scalar(value))))


def _flag(key: str, value: object) -> tuple[str, str]:
    return ("--param", f"{name}={value}") if (name := parameter(key)) else ("--set", f"{key}={value}")


def _scalar(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _grid(plan: SweepPlan, bench: SweepBench) -> Iterator[tuple[Point, PointResult]]:
    points = plan.grid()
    yield from zip(points, bench.evaluate(points), strict=True)


def _search(plan: SweepPlan, bench: SweepBench) -> Iterator[tuple[Point, PointResult]]:
    """Tree-structured Parzen estimation (Bergstra et al. 2011), a few points at a time; equal seeds propose equal points."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=plan.seed))
    left = plan.trials or 0
    while left > 0:
        trials = [study.ask() for _ in range(min(AT_A_TIME, left))]
        points = [{axis.key: _suggested(trial, axis) for axis in plan.axes} for trial in trials]
        for trial, point, result in zip(trials, points, bench.evaluate(points), strict=True):
            study.tell(trial, *([None, optuna.trial.TrialState.FAIL] if result.trouble else [_sharpe(result)]))
            yield point, result
        left -= len(trials)


def drawn(plan: SweepPlan) -> list[Point]:
    """Points of a search that learns from no result: drawn evenly from its ranges, each once."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=plan.seed))
    points = [{axis.key: _suggested(trial, axis) for axis in plan.axes} for trial in (study.ask() for _ in range(plan.trials or 0))]
    return list({repr(point): point for point in points}.values())


def _suggested(trial: Any, axis: Axis) -> Any:
    if axis.choices:
        # Lists are no category of Optuna's; their places are.
        return axis.choices[trial.suggest_categorical(axis.key, list(range(len(axis.choices))))]
    if axis.whole:
        return trial.suggest_int(axis.key, int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
    return float(f"{trial.suggest_float(axis.key, axis.low, axis.high, log=axis.log, step=axis.step):.10g}")


def _sharpe(result: PointResult) -> float:
    value = result.summary["sharpe"]
    return 0.0 if value is None or value != value else float(value)


def paths_of(daily: pd.DataFrame, days_per_year: int) -> PathSharpes | None:
    """What choosing the best point comes to on combinatorial purged paths; None where there are too few points or days.

    Args:
        daily: net daily returns of all points [T, N].
    """
    found = chosen_paths(np.nan_to_num(daily.to_numpy(dtype=np.float64)))
    if not len(found.sharpes):
        return None
    annual = np.sort(found.sharpes) * math.sqrt(days_per_year)
    low, median, high = np.quantile(annual, [0.05, 0.5, 0.95])
    return PathSharpes(
        sharpes=[round(float(value), 4) for value in annual], folds=found.folds, test_folds=found.test_folds, purge=found.purge,
        low=low, median=median, high=high, below_zero=float((annual < 0).mean()),
    )  # fmt: skip


def daily_of(results: Sequence[PointResult]) -> pd.DataFrame:
    """Net daily returns of all points by UTC day [T, N]; nothing follows on the day of a ruin."""
    daily = pd.concat([result.returns.rename(n) for n, result in enumerate(results)], axis=1).sort_index().fillna(0.0)
    return daily.mask((daily <= -1.0).cumsum().shift(1, fill_value=0) > 0, 0.0)


def _table(columns: Mapping[str, Sequence[Any]], results: Sequence[PointResult], scores: Any) -> pd.DataFrame:
    plain = log.redacted({key: [_cell(value) for value in values] for key, values in columns.items()}, numbers=False)
    numbers = pd.DataFrame([dict(result.summary) for result in results])
    return pd.concat([pd.DataFrame({**plain, "score": scores}), numbers], axis=1)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else _scalar(value)


def points_folder(request: BacktestRequest, plan: str, clock: Clock, label: str) -> tuple[Path, BacktestRequest]:
    """The folder of this very sweep where it was started before, else a new one; `plan` says what is tried, `label` names the folder.

    A sweep without `--to` that was interrupted resumes up to the moment at which it was started.
    """
    output = Path(request.settings.reports.output)
    wanted = {k: v for k, v in choices(request).items() if k != "last"}
    identity = fingerprint.of_value([wanted, plan, sorted(map(str, request.files.values())), request.open_ended, code_of(request)])
    for path in sorted(output.glob(f"*/{STORE_NAME}")):
        store = SweepStore(path.parent)
        try:
            if store.fact("identity") != identity:
                continue
            last = datetime.fromisoformat(store.fact("last") or "")
            if last == request.last or (request.open_ended and store.fact("finished") is None):
                return path.parent, replace(request, last=last)
        except (StoreDamaged, ValueError):
            continue
    feeds = request.settings.feeds
    # Only the candles themselves know whether they are simulated: an unreachable venue cannot be asked.
    kind = data_section(request, load_markets(request, clock)).kind
    run_id = make_run_id(clock.now(), feeds.symbols, feeds.timeframe, kind, name=f"{request.name} {label}".strip(), digest=identity)
    folder = make_run_dir(output, run_id)
    SweepStore(folder).note(identity=identity, last=request.last.isoformat())
    return folder, request


def _manifest(
    request: BacktestRequest, plan: SweepPlan, folder: Path, clock: Clock, table: pd.DataFrame, best: int, points: Sequence[Point],
    run: FinishedRun,
) -> SweepManifest:  # fmt: skip
    own = run.artefacts.manifest
    peak = choose(table["sharpe"].fillna(0.0).to_numpy(), table["sharpe"].tolist())

    def row(n: int) -> SweepPoint:
        return SweepPoint(
            settings=json.loads(json.dumps(points[n])),
            flags=flags(points[n]),
            score=table["score"].iloc[n],
            sharpe=table["sharpe"].iloc[n],
            total_return=table["total_return"].iloc[n],
            max_drawdown=table["max_drawdown"].iloc[n],
        )

    return SweepManifest(
        sweep_id=folder.name,
        created=clock.now(),
        command=request.command,
        name=request.name,
        title=own.model_copy(update={"name": request.name}).title,
        kind=own.data.kind,
        first=request.first,
        last=request.last,
        keys=list(plan.keys),
        search=plan.trials is not None,
        points=len(table),
        chosen=row(best),
        peak=row(peak),
        number=best,
        run=run.folder.name,
        pbo=own.strategy.pbo if own.strategy else None,
        dsr=own.strategy.dsr if own.strategy else None,
        trials=own.strategy.trials if own.strategy else None,
        effective_trials=(own.strategy.model_extra or {}).get("effective_trials") if own.strategy else None,
        verdict=own.verdict,
        verdict_gates=own.verdict_gates,
        alarms=own.alarms,
    )
