"""One historical run from candles to pages."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pandas as pd
from rich.console import Console

from forwardtrader.backtest.checks import checked, seen_until
from forwardtrader.backtest.forecasting import Forecasts, tables, train
from forwardtrader.backtest.market_data import charges_of, load_markets
from forwardtrader.backtest.progress import RunProgress, Stage
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import (
    entries_section,
    facts_of,
    learned_section,
    limits_section,
    manifest_of,
    margin_section,
    result_of,
)
from forwardtrader.backtest.shifted_runs import shifted_backtests, shifted_replays
from forwardtrader.backtest.simulation import is_replayable, simulate
from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import TradingError
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.models.port.prototype import named_forecaster
from forwardtrader.models.registry.store import log_damage
from forwardtrader.reports import artefacts, benchmarks, manifest
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.judgement import ForecastResult, RunFacts, RunJudgement, RunResult, ScoredForecasts, judge_run, score_forecasts
from forwardtrader.reports.manifest import RunManifest, StrategySummary, make_run_dir
from forwardtrader.reports.pages.formats import came_to_nothing
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.run_page import prepare_run_page
from forwardtrader.reports.pages.tearsheet import TearsheetProcess
from forwardtrader.reports.sections.optimisation import OptimisationSection
from forwardtrader.reports.summary import portfolio_of, summarise_strategy
from forwardtrader.reports.trial_ledger import TrialLedger
from forwardtrader.strategies.backtrader.assembly import Record
from forwardtrader.strategies.backtrader.cheating import never_called
from forwardtrader.strategies.backtrader.on_margin.trading import MarginReport
from forwardtrader.strategies.user_code.strategy_class import load_strategy

Result = TypeVar("Result")
Told = Callable[[pd.DataFrame], OptimisationSection]
# How long a thread keeps Python while another one waits for it.
TURN_S: Final = 0.0005


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder and what is written there."""

    folder: Path
    artefacts: RunArtefacts

    @property
    def page(self) -> Path:
        return self.folder / "index.html"


def run_backtest(
    request: BacktestRequest, clock: Clock, console: Console, *, sweep: pd.DataFrame | None = None, optimisation: Told | None = None
) -> FinishedRun:
    """Load, train, trade, evaluate, and write the pages.

    Args:
        sweep: net daily returns of every point tried, where this trades the chosen ones.
        optimisation: what is told of how they were chosen, given the equity table.

    Raises:
        TradingError: whatever stands in the way, as one line.
    """
    request = checked(request)
    with TearsheetProcess() as tearsheet, RunProgress(console, shown=not request.quiet, told=request.progress) as progress:
        with progress.stage("data", "candles"):
            markets = load_markets(request, clock)
        _report(console, request, markets)
        with progress.stage("train", "training folds") as stage:
            walk = train(markets, request, stage, partial(_report_damage, console, request))
        _report_waiting(console, request, walk)
        with progress.stage("baselines", "fitting baselines") as stage:
            forecasts = tables(walk, request, stage)
        with progress.stage("simulate", "trading"), _beside(lambda: scored(request, markets, forecasts)) as scores:
            record = simulate(markets, forecasts, request)
        _report_account(console, request, record, forecasts.left_out)
        with progress.stage("report", "benchmarks"):
            run, folder = _saved(assembled(request, markets, forecasts, record, clock, optimisation), request, markets)
            tearsheet.submit(folder)
        run = _with_importance(run, walk, request, progress)
        with log.log_to(folder / "log.jsonl"), progress.stage("report", "statistics"):
            log.event(log.logger("backtest"), "run_traded", run_id=run.manifest.run_id, fills=len(run.fills))
            _log_account(record)
            _log_venues(markets)
            judgement = judged(request, markets, forecasts, run, sweep, scores.result(), reads_forecasts=record.reads_forecasts)
        with progress.stage("shifted", "forecasts shifted in time") as stage:
            judgement = credited(request, markets, forecasts, run, judgement, stage)
        with log.log_to(folder / "log.jsonl"), progress.stage("report", "pages"):
            run = with_judgement(run, judgement, {name: round(s, 3) for name, s in progress.seconds.items()})
            manifest.write(folder, run.manifest)
            write_page = prepare_run_page(folder)
            try:
                tearsheet.wait()
            finally:
                write_page()  # as late as this, so that it links what has been drawn
            render_run_index(Path(request.settings.reports.output), Path(request.settings.live.sessions_path))
        run = _timed(run, folder, progress.seconds)
    if request.open_page:
        webbrowser.open((folder / "index.html").resolve().as_uri())
    return FinishedRun(folder, run)


def _with_importance(run: RunArtefacts, walk: WalkForward, request: BacktestRequest, progress: RunProgress) -> RunArtefacts:
    """The run with what its features add, where that was asked; why not, where that fails: the account is none the worse for it."""
    if not request.importance:
        return run
    from forwardtrader.backtest.importance.measurement import importance_of

    timeframe, refit = Timeframe.parse(request.settings.feeds.timeframe), request.importance == "refit"
    with progress.stage("importance", "what features add") as stage:
        try:
            found = importance_of(walk, request.first, request.last, timeframe, refit=refit, progress=stage)
            update: dict[str, Any] = {"importance": found}
        except TradingError as failure:
            update = {"not_computed": run.manifest.not_computed | {"importance": str(failure)}}
    return replace(run, manifest=run.manifest.model_copy(update=update))


def judge_market(
    request: BacktestRequest, markets: Mapping[str, History], clock: Clock, *, in_full: bool = True
) -> tuple[RunArtefacts, RunJudgement]:
    """A whole run on candles at hand, from training to verdict; nothing is written but models and the trial.

    Args:
        in_full: whether forecasts are shifted also where the verdict does not hang on it.

    Raises:
        TradingError: whatever stands in the way, as one line.
    """
    request = checked(request)
    walk = train(markets, request, _ignored)
    forecasts = tables(walk, request, _ignored)
    record = simulate(markets, forecasts, request)
    run = assembled(request, markets, forecasts, record, clock)
    judgement = judged(request, markets, forecasts, run, reads_forecasts=record.reads_forecasts)
    if not (in_full or judgement.hangs_on_shifted_forecasts):
        return run, judgement
    return run, credited(request, markets, forecasts, run, judgement, _ignored)


def _ignored(done: int, total: int) -> None:
    """Nobody watches."""


def _report(console: Console, request: BacktestRequest, markets: Mapping[str, History]) -> None:
    if request.quiet or request.as_json:
        return
    for symbol, history in markets.items():
        first, last = history.candles.index[0], history.candles.index[-1]
        console.print(
            f"{symbol} {history.timeframe}: {len(history.candles):,} candles {first:%Y-%m-%d} .. {last:%Y-%m-%d} from {history.source}"
        )
        if (detail := history.detail) is not None:
            console.print(f"  inside them {len(detail.candles):,} candles of {detail.timeframe} from {detail.source}")
        for note in history.notes:
            console.print(f"  {note}", style="yellow")


def _report_damage(console: Console, request: BacktestRequest, model_id: str, reason: str) -> None:
    """Report damaged models: training them again takes time."""
    log_damage(model_id, reason)
    if not request.as_json:
        console.print(f"model {model_id} is trained again: {reason}", style="yellow", soft_wrap=True)


def _report_waiting(console: Console, request: BacktestRequest, walk: WalkForward) -> None:
    """Report symbols that have no forecast yet when the run begins."""
    if request.as_json or request.quiet:
        return
    for symbol, at in walk.waiting().items():
        until = "to the end" if at is None else f"until {at:%Y-%m-%d %H:%M}"
        console.print(f"{symbol} waits {until}: its history does not fill a training window before", style="yellow", soft_wrap=True)


def _report_account(console: Console, request: BacktestRequest, record: Record, left_out: Mapping[str, str]) -> None:
    """Report what a table of results would hide: forecasters left out, orders that came to nothing, dust, deposits."""
    if request.as_json or request.quiet:
        return
    if request.strategy and (note := never_called(load_strategy(request.strategy))):
        console.print(note, style="yellow", soft_wrap=True)
    for name, why in left_out.items():
        console.print(f"{name} is left out: {why}", style="yellow", soft_wrap=True)
    for line in came_to_nothing(record.refused):
        console.print(line, style="yellow")
    for symbol, note in [*record.ended.items(), *record.backtest_only.items()]:
        console.print(f"{symbol}: {note}", style="yellow")
    for dust in record.dust:
        console.print(f"{dust.symbol}: {dust}", style="yellow")
    if record.margin:
        _report_margin(console, record.margin)
    if record.deposits:
        console.print(f"the strategy moved {record.deposits:+,.2f} of cash into the account; returns are time-weighted", style="yellow")


def _report_margin(console: Console, report: MarginReport) -> None:
    tally, settle = report.account.tally, report.account.stakes[0].rules.settle
    funding = tally.funding_long + tally.funding_short
    console.print(f"funding {funding:+,.2f} {settle}: {tally.funding_long:+,.2f} while long, {tally.funding_short:+,.2f} while short")
    for _, told in report.liquidated:
        console.print(told, style="yellow", soft_wrap=True)


def _log_account(record: Record) -> None:
    """The same in the run's log."""
    own = log.logger("backtest")
    for symbol, reasons in record.refused.items():
        for why, count in reasons.items():
            log.event(own, "orders_came_to_nothing", symbol=symbol, count=count, reason=why)
    for symbol, note in record.ended.items():
        log.event(own, "symbol_ended", symbol=symbol, what=note)
    for symbol, note in record.backtest_only.items():
        log.event(own, "backtest_only", symbol=symbol, what=note)


def _log_venues(markets: Mapping[str, History]) -> None:
    """Each change of what other venues say of a symbol's own."""
    for symbol, history in markets.items():
        for before, verdict in history.venues.changes() if history.venues else ():
            if before is not None or verdict.faults or verdict.objection:
                at = datetime.fromtimestamp(verdict.at / 1000, UTC).isoformat()
                log.event(log.logger("backtest"), "venues_compared", symbol=symbol, bar=at, detail=verdict.detail)


def assembled(
    request: BacktestRequest,
    markets: Mapping[str, History],
    forecasts: Forecasts,
    record: Record,
    clock: Clock,
    optimised: Told | None = None,
) -> RunArtefacts:
    """The tables of a run and its plain numbers, benchmarks beside the account; not evaluated yet and not written."""
    plain = manifest_of(request, markets, forecasts, clock.now())
    year = plain.data.periods_per_year
    held = _benchmarks(request, markets, year)
    equity = record.equity.assign(**{name: b.equity["equity"].reindex(record.equity.index).ffill() for name, b in held.items()})
    summaries = {name: _summary(request, b.equity, b.fills, year) for name, b in held.items()}
    told = {"dust": {d.symbol: d.units for d in record.dust}, "refused": record.refused, "ended": record.ended, "deposits": record.deposits}
    told["backtest_only"] = record.backtest_only
    own = _summary(request, equity, record.fills, year).model_copy(update=told)
    left_out = {f"forecast of {name}": why for name, why in forecasts.left_out.items()}
    traded = {symbol: history.candles for symbol, history in markets.items()}
    sections = {
        "limits": limits_section(record.limits),
        "margin": margin_section(record.margin, record.equity, markets),
        "entries": entries_section(record.entries, traded),
        "learned": learned_section(record.learned),
        "portfolio": portfolio_of(equity, record.fills, traded, year, request.settings.strategies.cash),
    }
    parts = {"strategy": own, "benchmark": summaries, "not_computed": left_out, **sections}
    full = plain.model_copy(update=parts | {"optimisation": optimised(equity) if optimised else None})
    return RunArtefacts(full, forecasts.table, record.fills, equity, record.stops)


def _saved(run: RunArtefacts, request: BacktestRequest, markets: Mapping[str, History]) -> tuple[RunArtefacts, Path]:
    """Make the run folder and put the tables there."""
    folder = make_run_dir(Path(request.settings.reports.output), run.manifest.run_id)
    artefacts.save_candles(folder, {s: history.candles for s, history in markets.items()}, pd.DatetimeIndex(run.equity.index))
    named = run.manifest.model_copy(update={"run_id": folder.name})
    return artefacts.save(folder, replace(run, manifest=named)), folder


def _benchmarks(request: BacktestRequest, markets: Mapping[str, History], year: int) -> dict[str, benchmarks.Benchmark]:
    settings = request.settings.strategies
    account = benchmarks.BenchmarkAccount(
        cash=settings.cash, fee_bps=settings.fee_bps, slippage_bps=settings.slippage_bps, charges=charges_of(markets)
    )
    candles = {symbol: history.candles for symbol, history in markets.items()}
    return {
        "buy_and_hold": benchmarks.buy_and_hold(candles, account, trade_from=request.first),
        "volatility_targeted": benchmarks.volatility_targeted(
            candles, account, target=settings.target_volatility, periods_per_year=year, trade_from=request.first,
            max_exposure=settings.max_exposure,
        ),
    }  # fmt: skip


def _summary(request: BacktestRequest, equity: pd.DataFrame, fills: pd.DataFrame, year: int) -> StrategySummary:
    return summarise_strategy(equity, fills, year, start_equity=request.settings.strategies.cash)


@contextmanager
def _beside(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Have something done in another thread while the block runs; it may go on after it.

    Numbers are crunched outside Python for most of the time, so the other core is used; the two take turns more often than they usually
    would, since whoever crunches needs Python for a moment only.
    """
    usual = sys.getswitchinterval()
    pool = ThreadPoolExecutor(1, thread_name_prefix="beside")
    sys.setswitchinterval(TURN_S)
    try:
        yield pool.submit(work)
    finally:
        sys.setswitchinterval(usual)
        pool.shutdown(wait=False)


def scored(request: BacktestRequest, markets: Mapping[str, History], forecasts: Forecasts) -> ScoredForecasts:
    """Scores of all forecasters, which no trade changes; safe beside a simulation that reads the same tables."""
    models, timeframe = request.settings.models, next(iter(markets.values())).timeframe
    result = ForecastResult(
        forecasts=forecasts.table,
        baselines=forecasts.baselines,
        candles={symbol: _with_own_index(history.candles) for symbol, history in markets.items()},
        seeds={symbol: _with_own_index(seeds) for symbol, seeds in forecasts.seeds(models.horizons[0]).items()},
        name=named_forecaster(models),
        compared=forecasts.compared,
    )
    return score_forecasts(result, timeframe, request.settings.reports, seed=models.seed)


def _with_own_index(table: pd.DataFrame) -> pd.DataFrame:
    """The same values under an index of their own: pandas fills its lookup table at first use, which two threads must not do at once."""
    return table.set_axis(table.index.copy(deep=True))


def judged(
    request: BacktestRequest, markets: Mapping[str, History], forecasts: Forecasts, run: RunArtefacts, sweep: pd.DataFrame | None = None,
    scores: ScoredForecasts | None = None, *, reads_forecasts: bool = True,
) -> RunJudgement:  # fmt: skip
    """Scores, verdict and alarms of a run, which is entered into the ledger."""
    settings, facts = request.settings, _facts(request, markets, run)
    candles = {symbol: history.candles for symbol, history in markets.items()}
    result = RunResult(
        forecasts=run.forecasts, baselines=forecasts.baselines, equity=run.equity, fills=run.fills, candles=candles, sweep=sweep,
        reads_forecasts=reads_forecasts, own_rule=not request.strategy, seen_until=seen_until(request) if reads_forecasts else "",
        charges=charges_of(markets),
    )  # fmt: skip
    ledger = TrialLedger(Path(settings.reports.ledger_path))
    found_scores = scores or scored(request, markets, forecasts)
    return judge_run(result, facts, settings.reports, ledger, seed=settings.models.seed, scored=found_scores)


def credited(
    request: BacktestRequest, markets: Mapping[str, History], forecasts: Forecasts, run: RunArtefacts, judgement: RunJudgement, stage: Stage
) -> RunJudgement:
    """The judgement once it is known what the strategy earns on forecasts shifted in time.

    Our own strategy is always asked. One of the user's takes seconds a run and is asked only where the answer decides the verdict.
    """
    if not judgement.evidence.has_forecasts or not (is_replayable(request) or judgement.hangs_on_shifted_forecasts):
        return judgement
    ask = shifted_replays if is_replayable(request) else shifted_backtests
    runs = ask(markets, forecasts, request, run.manifest.data.periods_per_year, stage)
    return judgement if runs is None else judgement.with_shifted(runs, _facts(request, markets, run))


def _facts(request: BacktestRequest, markets: Mapping[str, History], run: RunArtefacts) -> RunFacts:
    return facts_of(request, markets, run.manifest.data, run.manifest.run_id, result_of(run.equity))


def with_judgement(run: RunArtefacts, judgement: RunJudgement, seconds: Mapping[str, float]) -> RunArtefacts:
    """The manifest with scores, verdict and alarms laid over the plain numbers."""
    tree: dict[str, Any] = run.manifest.model_dump(by_alias=True)
    parts = judgement.parts()
    tree["strategy"] |= parts.pop("strategy")
    tree["not_computed"] |= parts.pop("not_computed", {})
    tree["benchmark"] |= parts.pop("benchmark")
    unknown = run.manifest.margin.unknown if run.manifest.margin else {}
    reasons = [f"{symbol}: {note}" for symbol, notes in unknown.items() for note in notes]
    parts["verdict_reasons"] = [*parts.get("verdict_reasons", []), *reasons]
    whole = RunManifest.model_validate(tree | parts | {"timing_s": dict(seconds)})
    return replace(run, manifest=whole)


def _timed(run: RunArtefacts, folder: Path, seconds: Mapping[str, float]) -> RunArtefacts:
    """Write the manifest once more with what everything took."""
    timing = {name: round(s, 3) for name, s in seconds.items()}
    whole = run.manifest.model_copy(update={"timing_s": timing | {"total": round(sum(seconds.values()), 3)}})
    manifest.write(folder, whole)
    return replace(run, manifest=whole)
