"""Alerts about trading: the first of a kind at once, the count of the rest later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import backtrader as bt

from forwardtrader.live.execution.events import (
    Acknowledged,
    BalanceChanged,
    ForeignOrder,
    Halted,
    Protected,
    Refused,
    StandsStill,
    Unprotected,
)
from forwardtrader.live.monitoring.account_alerts import AccountAlerts, StrategyLimitAlerts
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.reports.pages.session_status import SessionState
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.risk import RiskState


def reasons(told: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, Any]]:
    return [(kind, facts.get("count", 1)) for kind, _, facts in told]


def test_refusals_of_one_kind_are_told_at_once_then_hourly_then_at_the_end() -> None:
    now, told, halted = [0.0], [], []
    alerts = AccountAlerts(lambda kind, level="warning", **facts: told.append((kind, level, facts)), halted.append, lambda: now[0])
    for n in range(110):
        alerts.handle(Refused(f"id-{n}", f"an order worth {n}.5 USDT is beyond risk.max_order_value (10)"))
    assert reasons(told) == [("orders_refused", 1)]
    now[0] = 3601.0
    alerts.send_due()
    alerts.send_due()
    alerts.handle(Refused("x", "an order worth 7.5 USDT is beyond risk.max_order_value (10)"))
    alerts.handle(Refused("y", "another reason"))
    alerts.finish()
    alerts.finish()
    assert reasons(told) == [("orders_refused", 1), ("orders_refused", 109), ("orders_refused", 1), ("orders_refused", 1)]
    alerts.handle(ForeignOrder("BTC/USDT", "9", "buy", Decimal(1)))
    alerts.handle(Acknowledged("z", "1"))
    alerts.handle(Halted("no key"))
    assert [kind for kind, _, _ in told[4:]] == ["foreign_order"]
    assert halted == ["no key"]


def test_every_movement_of_money_is_an_alert_of_its_own() -> None:
    told: list[tuple[str, str, object]] = []
    alerts = AccountAlerts(lambda kind, level, **facts: told.append((kind, level, facts["change"])), lambda _reason: None)
    for change in (-5, -5):
        alerts.handle(BalanceChanged("USDT", Decimal(change), Decimal(90)))
    assert told == [("balance_changed", "warning", Decimal(-5))] * 2


def test_a_stop_that_stands_still_is_an_alert_that_says_what_to_do() -> None:
    told: list[tuple[str, str, object]] = []
    alerts = AccountAlerts(lambda kind, level, **facts: told.append((kind, level, facts["what"])), lambda _reason: None)
    alerts.handle(StandsStill("BTC/USDT", "id", "send a trailing stop in its place"))
    assert told == [("stop_stands_still", "warning", "send a trailing stop in its place")]


def test_the_strategys_own_limits_are_told_when_they_close_and_when_they_open() -> None:
    told: list[tuple[str, str]] = []
    progress = SessionProgress(datetime(2026, 1, 1, tzinfo=UTC), SessionState.RUNNING)
    states: list[str] = []
    alerts = StrategyLimitAlerts(lambda kind, level, **_facts: told.append((kind, level)), progress)
    strategy = LSTMStrategy.__new__(LSTMStrategy)
    start = RiskState.start(1_000.0, 0.0)
    for state in ({}, {"locked": True}, {"locked": True}, {"halted_until": 9.0}, {}):
        strategy._risk = replace(start, **state)
        alerts.check(strategy)
        states.append(progress.state)
    assert states == ["running", "running", "running", "halted", "running"]
    assert told == [("daily_loss_lock", "warning"), ("drawdown_halt", "error"), ("risk_limits_open_again", "info")]
    alerts.check(bt.Strategy.__new__(bt.Strategy))
    assert len(told) == 3


def test_the_end_of_a_drawdown_halt_lifts_neither_a_pause_nor_a_halt_of_the_account() -> None:
    progress = SessionProgress(datetime(2026, 1, 1, tzinfo=UTC), SessionState.RUNNING)
    alerts = StrategyLimitAlerts(lambda *_args, **_facts: None, progress)
    strategy = LSTMStrategy.__new__(LSTMStrategy)
    halted, free = replace(RiskState.start(1_000.0, 0.0), halted_until=9.0), RiskState.start(1_000.0, 0.0)

    def goes(state: RiskState) -> tuple[str, str]:
        strategy._risk = state
        alerts.check(strategy)
        return progress.state, progress.reason

    assert "drawdown" in goes(halted)[1]
    progress.state = SessionState.PAUSED
    assert goes(free) == ("paused", "")
    assert goes(halted)[0] == "halted"
    assert goes(free) == ("paused", "")
    progress.state, progress.reason = SessionState.HALTED, "no key"
    assert goes(halted) == ("halted", "no key")
    assert goes(free) == ("halted", "no key")


def test_a_position_without_its_stop_is_told_every_hour_until_it_has_one() -> None:
    now, told = [0.0], []
    alerts = AccountAlerts(lambda kind, level="warning", **facts: told.append(kind), lambda _reason: None, lambda: now[0])
    alerts.handle(Unprotected("BTC/USDT", "refused"))
    for now[0] in (10.0, 3601.0, 3602.0, 7300.0):
        alerts.send_due()
    alerts.handle(Protected("BTC/USDT", "a stop rests for all of it"))
    alerts.handle(Protected("BTC/USDT", "a stop rests for all of it"))
    now[0] = 20_000.0
    alerts.send_due()
    assert told == ["position_unprotected"] * 3 + ["position_protected"]
