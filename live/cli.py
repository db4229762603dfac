"""The live command: words in, exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

from forwardtrader.core import log
from forwardtrader.core.cli import end_well
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.live import control
from forwardtrader.live.execution.keys import keys_of
from forwardtrader.live.request import LiveRequest, read_request

LOG: Final = Path("var/log.jsonl")


def main(argv: list[str]) -> int:
    """The command by the system's clock."""
    return command(argv, SystemClock())


def command(argv: list[str], clock: Clock) -> int:
    """Run the command and return its exit code."""
    with log.log_to(LOG):
        return end_well(lambda: _run(argv, clock))


def _run(argv: list[str], clock: Clock) -> int:
    request = read_request(argv)
    console = Console(highlight=False)
    if request.status:
        return _show_status(request, console)
    if request.verb is not None:
        control.say(request.folder, request.verb)
        console.print(f"session {request.name}: {request.verb} said")
        return 0
    if request.check:
        from forwardtrader.live.preflight.checks import examine

        return examine(request, clock, console)
    if request.mode == "live" and not request.sandbox:
        keys_of(request.settings.feeds.exchange)  # nothing else is worth waiting for without them
    from forwardtrader.live.monitoring.terminal import SessionView
    from forwardtrader.live.session.session import LiveSession

    session = LiveSession(request, clock, SessionView(console, shown=not request.quiet))
    code = session.run()
    if not request.quiet:
        for dust in session.broker.holdings.dust() if session.strategy is not None else ():
            console.print(f"{dust.symbol}: {dust}")
        why = f" halted: {session.reason}" if code else ""
        console.print(f"session {request.name} ended{why}; its page is {request.folder / 'index.html'}")
    return code


def _show_status(request: LiveRequest, console: Console) -> int:
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
        console.print(f"told last, {alert.at:%Y-%m-%d %H:%M}: {alert.text}")
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
