"""`--optimise` on a terminal: the run of what was chosen, and how stable the choice was."""

from __future__ import annotations

from rich.console import Console

from forwardtrader.backtest.job import FinishedRun
from forwardtrader.backtest.optimise.walk import run_optimisation
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.terminal import report
from forwardtrader.core.clock import Clock
from forwardtrader.reports.pages.formats import number
from forwardtrader.reports.sections.optimisation import OptimisationSection


def optimise_and_tell(request: BacktestRequest, clock: Clock, console: Console) -> FinishedRun:
    """Optimise, then print the summary of the run and of the choices, or `run.json` with --json.

    Raises:
        TradingError: whatever stands in the way, as one line.
    """
    run = run_optimisation(request, clock, console)
    report(run, console, as_json=request.as_json, quiet=request.quiet)
    found = run.artefacts.manifest.optimisation
    if found is not None and not (request.as_json or request.quiet):
        _show(found, console)
    return run


def _show(found: OptimisationSection, console: Console) -> None:
    console.print(
        f"\nOptimised: {found.points} points at {len(found.choices)} boundaries, {found.trials:,} trials, {found.changes} changes",
        style="bold",
    )
    console.print(
        f"  mean {found.score} before a boundary {number(found.in_sample)}, of the account after it {number(found.out_of_sample)}"
    )
    console.print(f"  rank correlation of all points before and after: {number(found.rank_correlation)}")
    for row in found.choices[-1:]:
        console.print(f"  in force since {row.since:%Y-%m-%d %H:%M}: {row.flags}", soft_wrap=True, markup=False)
    for named, why in found.left_out.items():
        console.print(f"  left out {named}: {why}", style="yellow", soft_wrap=True, markup=False)
