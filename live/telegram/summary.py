"""The summary of a day, with a picture of the equity, made once a UTC day from the session's own files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.live.monitoring.standing import SessionReport, report_on
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.priority import give_way
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.telegram.alert_filter import SUMMARY
from forwardtrader.live.telegram.answers import held

_LOG: Final = log.logger("live")
_DAYS: Final = 30.0  # in the picture
_POINTS: Final = 2000
_PICTURE_S: Final = 120.0  # it gives way to everything else


class DailySummary:
    """Due when the machine's clock has reached the next UTC day; a day on which nothing ran is skipped.

    Args:
        last: the day of the newest summary of the session; None before its first one, which is due tomorrow.
        record: logs and records that it was sent: kind, level and facts, as `SessionHealth.record`.
    """

    def __init__(self, request: LiveRequest, clock: Clock, last: date | None, record: Callable[..., None]) -> None:
        self._request = request
        self._clock = clock
        self._record = record
        self._last = last or clock.now().date()

    def is_due(self) -> bool:
        return self._clock.now().date() > self._last

    def make(self) -> tuple[str, bytes]:
        """Text, and picture as PNG; no picture where there is nothing to show yet, or none could be made.

        Raises:
            TradingError: the session's files cannot be read.
        """
        now = self._clock.now()
        self._last = now.date()
        settings = self._request.settings
        report = report_on(
            self._request.folder, self._clock, longest_turn_s=settings.risk.max_stall_s, stale_after_bars=settings.live.stale_after_bars
        )
        curve, levels = self._recorded(now)
        text = summary_text(f"{now.date() - timedelta(days=1)}", report, curve, levels)
        self._record(SUMMARY, "info", text=text)
        return text, picture_of(curve, self._request.name)

    def _recorded(self, now: datetime) -> tuple[list[tuple[float, float]], list[str]]:
        """The equity of the last days, and the levels of the last day's alerts."""
        if not (self._request.folder / "session.db").is_file():
            return [], []
        with closing(SessionStore(self._request.folder / "session.db", reads=True)) as store:
            return store.newest_equity(_DAYS), store.note_levels((now - timedelta(days=1)).isoformat())


def summary_text(day: str, report: SessionReport, curve: Sequence[tuple[float, float]], levels: Sequence[str]) -> str:
    """What is said of a day.

    Args:
        curve: Backtrader's times (days) and equities, oldest first.
        levels: of the day's alerts.
    """
    lines = [f"summary of {day}: {report.standing}{f', {report.why}' if report.why else ''}"]
    if curve:
        newest, equity = curve[-1]
        before = next(value for at, value in curve if at >= newest - 1.0)
        lines.append(f"equity {equity:,.2f}, {equity - before:+,.2f} in a day{_since_start(report, equity)}")
    lines.append(held(report))
    troubles = [f"{levels.count(level)} {level}s" for level in ("error", "warning") if levels.count(level)]
    lines.append(f"alerts: {', '.join(troubles) or 'none'}")
    if report.status is not None and report.status.model_id:
        lines.append(f"model {report.status.model_id}")
    return "\n".join(lines)


def _since_start(report: SessionReport, equity: float) -> str:
    start = None if report.status is None else report.status.start_equity
    return f", {equity / start - 1:+.2%} since the start" if start else ""


def picture_of(curve: Sequence[tuple[float, float]], name: str) -> bytes:
    """A PNG, drawn by a process of low priority, so that it costs the session neither memory nor time; empty where it failed."""
    if len(curve) < 2:
        return b""
    thinned = list(curve[:: max(1, len(curve) // _POINTS)])
    task = json.dumps({"name": name, "times": [at for at, _ in thinned], "equity": [value for _, value in thinned]})
    child = subprocess.Popen(
        child_command("live.telegram.picture"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=child_environment(), start_new_session=True,
    )  # fmt: skip
    give_way(child.pid)
    try:
        drawn, said = child.communicate(task.encode(), timeout=_PICTURE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        drawn, said = b"", b"it took too long"
    if child.returncode or not drawn:
        log.event(_LOG, "picture_not_made", reason=said.decode(errors="replace").strip()[-300:])
        return b""
    return drawn
