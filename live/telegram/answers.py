"""The answers to questions in the chat, read from the session's own files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from forwardtrader.core.clock import Clock
from forwardtrader.live.monitoring.standing import SessionReport, report_on
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.status_report import status_lines
from forwardtrader.live.telegram.conversation import Question


def answer_to(question: Question, request: LiveRequest, clock: Clock) -> str:
    """The text of an answer.

    Raises:
        TradingError: the session's files cannot be read, or there are none yet.
    """
    answers: dict[Question, Callable[[], str]] = {
        Question.STATUS: lambda: "\n".join(status_lines(request, clock)),
        Question.POSITIONS: lambda: held(_report(request, clock)),
        Question.PROFIT: lambda: _profit(_report(request, clock)),
        Question.FORECAST: lambda: _forecasts(request),
    }
    return answers[question]()


def _report(request: LiveRequest, clock: Clock) -> SessionReport:
    settings = request.settings
    return report_on(request.folder, clock, longest_turn_s=settings.risk.max_stall_s, stale_after_bars=settings.live.stale_after_bars)


def held(report: SessionReport) -> str:
    """The positions, a line each, and how many orders rest."""
    rows = {} if report.status is None else {row.symbol: row for row in report.status.positions}
    lines = []
    for symbol, size in report.positions.items():
        row = rows.get(symbol)
        known = row is not None and row.price is not None and row.profit is not None
        lines.append(f"{size:g} {symbol}" + (f" at {row.price:g}, profit {row.profit:+,.2f}" if row is not None and known else ""))
    return (
        "\n".join([*lines, f"{len(report.resting)} orders at the venue"]) if lines else f"flat, {len(report.resting)} orders at the venue"
    )


def _profit(report: SessionReport) -> str:
    start = None if report.status is None else report.status.start_equity
    if report.equity is None or start is None:
        return "not known yet: the session has written no status"
    share = f" ({report.equity / start - 1:+.2%})" if start else ""
    return f"{report.equity - start:+,.2f}{share} since the start: equity {start:,.2f}, then {report.equity:,.2f} at the last bar"


def _forecasts(request: LiveRequest) -> str:
    if not (request.folder / "session.db").is_file():
        return "no bar was traded yet"
    with closing(SessionStore(request.folder / "session.db", reads=True)) as store:
        return "\n".join(_forecast(store, symbol) for symbol in request.symbols)


def _forecast(store: SessionStore, symbol: str) -> str:
    last = store.last_bar(symbol)
    at = None if last is None else datetime.fromtimestamp(last / 1000, UTC)
    made = None if at is None else store.forecast(symbol, at)
    if made is None or at is None:
        return f"{symbol}: none at the newest bar"
    span = f"{made.location:+.2%} in {made.horizon} bars ({made.quantiles[0]:+.2%} to {made.quantiles[-1]:+.2%})"
    return f"{symbol}: {span}, {made.p_up:.0%} up, after bar {at:%Y-%m-%d %H:%M}"
