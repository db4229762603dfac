"""The backtest command: flags in, exit code out. What it runs is imported once the flags are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forwardtrader.backtest.flags import parser
from forwardtrader.core.atomic import refuse_unwritable
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command import answer
from forwardtrader.core.command.cli import collect_rarely, run

LOG: Final = Path("var/log.jsonl")


def command(argv: Sequence[str], clock: Clock) -> int:
    """Run the command and return its exit code."""
    return run(parser(), argv, lambda given: _answered(given, clock), log_file=LOG)


def main(argv: Sequence[str] | None = None) -> int:
    """The command by the system's clock, in a process of its own."""
    collect_rarely()  # before what follows is imported, which makes half of all objects
    return run(parser(), argv, lambda given: _answered(given, SystemClock()), log_file=LOG)


def _answered(given: argparse.Namespace, clock: Clock) -> int:
    with answer.alone(given.json):
        return _run(given, clock)


def _run(given: argparse.Namespace, clock: Clock) -> int:
    from rich.console import Console

    from forwardtrader.backtest.command_line import request_of

    request = request_of(given, given.typed, clock)
    refuse_unwritable(Path(request.settings.reports.output))  # before the work, not after it
    console = Console(stderr=request.as_json, highlight=False)
    if request.sweep is not None and request.optimise is None:
        from forwardtrader.backtest.sweep.command import sweep_and_tell

        sweep_and_tell(request, clock, console)
    elif request.optimise is not None:
        from forwardtrader.backtest.optimise.command import optimise_and_tell

        optimise_and_tell(request, clock, console)
    elif request.audit:
        from forwardtrader.backtest.audit.command import run_audit

        run_audit(request, clock, console)
    else:
        from forwardtrader.backtest.job import run_backtest
        from forwardtrader.backtest.progress import DONE, ProgressFile
        from forwardtrader.backtest.terminal import report

        finished = run_backtest(request, clock, console)
        report(finished, console, as_json=request.as_json, quiet=request.quiet)
        if request.progress is not None:
            ProgressFile(request.progress).tell(DONE, "done", page=finished.folder.name)
    return 0
