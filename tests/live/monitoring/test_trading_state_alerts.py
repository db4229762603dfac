"""Alerts about the account's limits: once when they are reached, once when they end; a halt is the session's state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from forwardtrader.core.settings import RiskSettings
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.monitoring.standing import halt_of
from forwardtrader.live.monitoring.trading_state_alerts import TradingStateAlerts
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.trading_state.guard import TradingGuard

HOUR = 3600.0


def guarded() -> tuple[TradingGuard, SessionProgress, TradingStateAlerts, list[tuple[str, str]]]:
    guard = TradingGuard.of(RiskSettings(max_drawdown=0.2, max_daily_loss=0.05))
    assert guard is not None
    told: list[tuple[str, str]] = []
    progress = SessionProgress(datetime(2026, 1, 1, tzinfo=UTC), SessionState.RUNNING)
    return guard, progress, TradingStateAlerts(lambda kind, level, **_facts: told.append((kind, level)), progress), told


def test_each_change_is_told_once_and_a_halt_is_the_sessions_state_until_it_is_lifted() -> None:
    guard, progress, alerts, told = guarded()
    states = []
    for hour, equity in enumerate((100.0, 94.0, 93.0, 79.0, 79.0)):
        guard.on_bar(hour * HOUR, equity)
        alerts.check(guard)
        states.append(progress.state)
    assert states == ["running", "running", "running", "halted", "halted"]
    assert "risk.max_drawdown" in progress.reason
    guard.rearm()
    alerts.check(guard)
    assert (progress.state, progress.reason) == ("running", "")
    assert told == [("account_limits_reduce", "warning"), ("account_limits_halt", "error"), ("account_limits_open_again", "info")]
    alerts.check(None)


def test_a_halt_of_the_account_itself_is_worth_more() -> None:
    guard, progress, alerts, _ = guarded()
    progress.state, progress.reason = SessionState.HALTED, "no key"
    for hour, equity in enumerate((100.0, 70.0)):
        guard.on_bar(hour * HOUR, equity)
        alerts.check(guard)
    assert progress.reason == "no key"
    guard.rearm()
    alerts.check(guard)
    assert (progress.state, progress.reason) == ("halted", "no key")


def test_the_standing_of_a_session_knows_the_halt_and_its_end() -> None:
    def note(kind: str, **facts: Any) -> dict[str, Any]:
        return {"at": "2026-01-02", "kind": kind, "facts": facts}

    halt = note("account_limits_halt", reason="limits of the account: risk.max_drawdown")
    assert "risk.max_drawdown" in halt_of([halt], "2026-01-01")
    assert halt_of([halt, note("account_limits_open_again")], "2026-01-01") == ""
    assert halt_of([halt, note("risk_limits_open_again")], "2026-01-01")  # the strategy's own limits are others
