"""`--status`: how a session stands, on the terminal or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import ConfigError
from forwardtrader.live.mirror.mirror_status import mirror_status
from forwardtrader.live.monitoring.standing import SessionReport, Standing, report_on
from forwardtrader.live.request import LiveRequest
from forwardtrader.reports.pages.formats import came_to_nothing, learned, limits


def status_lines(request: LiveRequest, clock: Clock) -> list[str]:
    """What `--status` prints.

    Raises:
        ConfigError: there is no such session.
    """
    report = _report(request, clock)
    lines = [report.name if report.status is None else report.status.title, _headline(report)]
    lines += [report.why] if report.why else []
    lines += [f"last alerts: {'; '.join(report.alerts)}"] if report.alerts else []
    held = ", ".join(f"{size:g} {symbol}" for symbol, size in report.positions.items()) or "flat"
    equity = "unknown" if report.equity is None else f"{report.equity:,.2f} at the last bar"
    lines.append(f"equity {equity}, {held}, {len(report.resting)} orders at the venue")
    limited = [] if report.status is None or report.status.limits is None else [limits(report.status.limits)]
    limited += [] if report.status is None or report.status.learned is None else [learned(report.status.learned)]
    refused = [] if report.status is None else came_to_nothing(report.status.refused)
    mirror = mirror_status(request.settings.live, clock)
    mirrored = [] if mirror is None else [mirror.text]
    return [log.redact(line) for line in [*lines, *limited, *refused, *mirrored, *_models(report)]]


def status_json(request: LiveRequest, clock: Clock) -> str:
    """The same as one JSON object. Raises as `status_lines`."""
    report = _report(request, clock)
    mirror = mirror_status(request.settings.live, clock)
    tree: dict[str, Any] = asdict(report) | {
        "status": None if report.status is None else report.status.model_dump(mode="json"),
        "mirror": None if mirror is None else asdict(mirror),
    }
    return json.dumps(log.redacted(tree), default=_plain, indent=1)


def _report(request: LiveRequest, clock: Clock) -> SessionReport:
    folder, settings = request.folder, request.settings
    if not folder.is_dir():
        raise ConfigError(f"there is no session {request.name!r} in {folder.parent}; start one with run_live.py --session {request.name}")
    report = report_on(folder, clock, longest_turn_s=settings.risk.max_stall_s, stale_after_bars=settings.live.stale_after_bars)
    if report.bars == 0 and report.status is None and report.process is None:
        raise ConfigError(f"session {request.name!r} ended before its first bar; start it again, {folder / 'log.jsonl'} says why")
    return report


def _headline(report: SessionReport) -> str:
    at_rest = ", not running" if report.process is None and report.standing is not Standing.STOPPED else ""
    stands = "not running" if report.standing is Standing.STOPPED else f"{report.standing}{at_rest}"
    facts = [f"{report.bars} bars", f"last {_moment(report.last_bar)}{_age(report.last_bar_age_s)}"]
    facts += [f"heartbeat{_age(report.heartbeat_age_s)}"] if report.heartbeat_age_s is not None else []
    facts += [f"last turn{_age(report.turn_age_s)}"] if report.turn_age_s is not None else []
    facts += [f"last command {report.last_command}"] if report.last_command else []
    return f"{stands}, {', '.join(facts)}"


def _models(report: SessionReport) -> list[str]:
    status = report.status
    if status is None:
        return []
    lines = [f"model {status.model_id or 'none'} (written{_age(report.status_age_s)})"]
    for one in status.outcomes[-1:]:
        covered = "" if one.coverage_90 is None else f", {one.coverage_90:.1%} inside the 90 % band"
        lines.append(f"it made {one.forecasts} forecasts that are known{covered}, {one.trades} trades, profit {one.profit or 0.0:+,.2f}")
    lines += [f"{d.deed} by {d.by} from {d.since:%Y-%m-%d %H:%M} on: {d.reason}" for d in status.decisions[-1:]]
    return lines


def _moment(at: datetime | None) -> str:
    return "none" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" {seconds:.0f} s ago" if seconds < 600 else f" {seconds / 60:.0f} min ago"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
