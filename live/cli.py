"""The live command: flags in, exit code out. What it runs is imported once the flags are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.errors import ConfigError, RiskHalt
from forwardtrader.live.flags import parser

if TYPE_CHECKING:
    from rich.console import Console

    from forwardtrader.live.request import LiveRequest

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
        return _show_status(request, console)
    if request.verb is not None:
        from forwardtrader.live.instruction import instruct

        console.print(instruct(request, request.verb, clock), soft_wrap=True)
        return 0
    if request.check:
        from forwardtrader.live.preflight.checks import preflight

        return preflight(request, clock, console)
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
        console.print(f"session {request.name} ended{why}; its page is {request.folder / 'index.html'}")
    return code


def _show_status(request: LiveRequest, console: Console) -> int:
    from forwardtrader.live import control
    from forwardtrader.reports.pages.session_status import FILE_NAME, SessionState, read_status

    if not request.folder.is_dir():
        raise ConfigError(
            f"there is no session {request.name!r} in {request.folder.parent}; start one with run_live.py --session {request.name}"
        )
    running = control.is_running(request.folder)
    if not (request.folder / FILE_NAME).is_file():
        raise ConfigError(_nothing_yet(request, running))
    status = read_status(request.folder)
    held = ", ".join(f"{p.size:g} {p.symbol}" for p in status.positions) or "flat"
    equity = "unknown" if status.equity is None else f"{status.equity:,.2f}"
    stands = status.state if running else "halted, not running" if status.state is SessionState.HALTED else "not running"
    console.print(f"{status.title}\n{stands}, {status.bars} bars, last {status.last_bar}")
    if status.reason:
        console.print(status.reason)
    for alert in status.alerts[-1:]:
        console.print(f"last alert, {alert.at:%Y-%m-%d %H:%M}: {alert.text}")
    console.print(f"equity {equity}, {held}, {len(status.open_orders)} open orders, model {status.model_id}")
    for one in status.outcomes[-1:]:
        covered = "" if one.coverage_90 is None else f", {one.coverage_90:.1%} inside the 90 % band"
        console.print(f"it made {one.forecasts} forecasts that are known{covered}, {one.trades} trades, profit {one.profit or 0.0:+,.2f}")
    for decision in status.decisions[-1:]:
        console.print(f"{decision.deed} by {decision.by} from {decision.since:%Y-%m-%d %H:%M} on: {decision.reason}")
    return 0


def _nothing_yet(request: LiveRequest, running: bool) -> str:
    if running:
        return f"session {request.name!r} is starting: it has not seen a bar yet; ask again"
    return f"session {request.name!r} ended before its first bar; start it again, {request.folder / 'log.jsonl'} says why"
