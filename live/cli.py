"""The live command: flags in, exit code out. What it runs is imported once the flags are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.errors import RiskHalt
from forwardtrader.live.flags import parser

LOG: Final = Path("var/log.jsonl")


def command(argv: Sequence[str], clock: Clock) -> int:
    """Run the command and return its exit code."""
    return run(parser(), argv, lambda given: _run(given, clock), log_file=LOG)


def main(argv: Sequence[str] | None = None) -> int:
    """The command by the system's clock."""
    return run(parser(), argv, lambda given: _run(given, SystemClock()), log_file=LOG)


def status(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader status`: the command with `--status`."""
    import sys

    return main(["--status", *(sys.argv[1:] if argv is None else argv)])


def _run(given: argparse.Namespace, clock: Clock) -> int:
    from rich.console import Console

    from forwardtrader.live.request import request_of

    request = request_of(given, given.typed)
    console = Console(highlight=False)
    if request.status:
        from forwardtrader.live.status_report import status_json, status_lines

        for line in [status_json(request, clock)] if given.json else status_lines(request, clock):
            console.print(line, soft_wrap=True, markup=False)
        return 0
    if request.verb is not None:
        from forwardtrader.live.instruction import instruct

        console.print(instruct(request, request.verb, clock), soft_wrap=True)
        return 0
    if request.check:
        from forwardtrader.live.preflight.checks import preflight

        return preflight(request, clock, console)
    if given.sync_firestore:
        from forwardtrader.live.preflight.shared_state import synchronised

        for line in synchronised(request, clock):
            console.print(line, soft_wrap=True, markup=False)
        return 0
    if given.from_firestore:
        from forwardtrader.live.preflight.takeover import take_over

        request = take_over(request, clock, lambda line: console.print(line, soft_wrap=True, markup=False))
    if request.mode == "live" and not request.sandbox:
        from forwardtrader.live.venue.keys import api_keys

        feeds = request.settings.feeds
        api_keys(feeds.exchange, url=feeds.exchange_url)  # nothing else is worth waiting for without them
    from forwardtrader.live.monitoring.terminal import SessionView
    from forwardtrader.live.session.session import LiveSession

    session = LiveSession(request, clock, SessionView(console, shown=not request.quiet))
    code = session.run()
    if not request.quiet:
        for dust in session.dust():
            console.print(f"{dust.symbol}: {dust}")
        why = f" halted: {session.progress.reason}" if code == RiskHalt.exit_code else ""
        page = request.folder / "index.html"
        console.print(f"session {request.name} ended{why}{f'; its page is {page}' if page.is_file() else ''}")
    return code
