"""Alerts about trading: the first of a kind at once, the count of the rest later."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from forwardtrader.live.execution.events import Acknowledged, ForeignOrder, Halted, Refused
from forwardtrader.live.monitoring.account_alerts import AccountAlerts


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
