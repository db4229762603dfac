"""The backtest command: words in, exit code out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.job import run_backtest
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core import log
from forwardtrader.core.cli import end_well
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.reports.manifest import to_json

LOG = Path("var/log.jsonl")


def main(argv: list[str]) -> int:
    """The command by the system's clock."""
    return command(argv, SystemClock())


def command(argv: list[str], clock: Clock) -> int:
    """Run the command and return its exit code."""
    with log.log_to(LOG):
        return end_well(lambda: _run(argv, clock))


def _run(argv: list[str], clock: Clock) -> int:
    request = read_request(argv, clock)
    console = Console(stderr=request.as_json, highlight=False)
    if request.sweep is not None:
        from forwardtrader.backtest.sweep.command import sweep_and_tell

        sweep_and_tell(request, clock, console)
    elif request.audit:
        from forwardtrader.backtest.audit.command import run_audit

        run_audit(request, clock, console)
    else:
        _report(request, clock, console)
    return 0


def _report(request: BacktestRequest, clock: Clock, console: Console) -> None:
    run = run_backtest(request, clock, console)
    if request.as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(to_json(run.artefacts.manifest), end="")
    elif not request.quiet:
        from forwardtrader.backtest.terminal import show

        show(run, console)
