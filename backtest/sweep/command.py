"""`--sweep` on a terminal: the run of the chosen point, and the overfitting statistics of the sweep."""

from __future__ import annotations

from rich.console import Console

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.sweep.search import FinishedSweep, run_sweep
from forwardtrader.core.clock import Clock
from forwardtrader.core.command import answer
from forwardtrader.reports.pages.formats import number, probability
from forwardtrader.reports.sweep_manifest import to_json


def sweep_and_tell(request: BacktestRequest, clock: Clock, console: Console) -> FinishedSweep:
    """Sweep, then print the summary, or `sweep.json` with --json.

    Raises:
        TradingError: whatever stands in the way, as one line.
    """
    done = run_sweep(request, clock, console)
    if request.as_json:
        answer.write(to_json(done.manifest))
    elif not request.quiet:
        from forwardtrader.backtest.terminal import show

        show(done.run, console)
        _show(done, console)
    return done


def _show(done: FinishedSweep, console: Console) -> None:
    found = done.manifest
    console.print(
        f"\nSweep: {found.points} points, chosen for its neighbourhood's Sharpe ratio of {number(found.chosen.score)}", style="bold"
    )
    console.print(f"  {found.chosen.flags}", soft_wrap=True, markup=False)
    peak = (
        "the same point"
        if found.peak.flags == found.chosen.flags
        else f"{number(found.peak.sharpe)}, neighbourhood {number(found.peak.score)}"
    )
    console.print(f"  its own Sharpe ratio {number(found.chosen.sharpe)}; the highest peak: {peak}")
    console.print(
        f"  probability of overfitting {probability(found.pbo, 0)}, deflated Sharpe {probability(found.dsr, 0)} with {found.trials} trials"
        f", worth {number(found.effective_trials, 1)} independent ones"
    )
    if found.paths is not None:
        low, median, high = (number(value) for value in (found.paths.low, found.paths.median, found.paths.high))
        console.print(
            f"  choosing the best point, on {len(found.paths.sharpes)} purged paths: Sharpe {median}, 90 % of them {low} to {high}"
        )
    console.print(f"{done.page}", soft_wrap=True)
