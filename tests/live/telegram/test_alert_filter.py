"""Which alerts are sent: by kind and level, and errors always."""

from __future__ import annotations

import pytest

from forwardtrader.core.settings import ALERT_KINDS
from forwardtrader.live.telegram.alert_filter import AlertFilter, kind_of
from tests.alert_names import alert_names


def test_every_alert_there_is_has_its_kind() -> None:
    others = {name for name in alert_names() if kind_of(name) == "other"}
    assert others == {"telegram_unusable", "telegram_commands_not_received", "telegram_message_ignored"}
    assert {kind_of(name) for name in (*alert_names(), "order_filled", "stop_filled")} == set(ALERT_KINDS)


@pytest.mark.parametrize(
    ("alert", "kind"),
    [
        ("order_filled", "fills"), ("stop_stands_still", "stops"), ("account_halted", "halts"), ("no_closed_bar", "data"),
        ("training_failed", "models"), ("model_promoted", "models"), ("orders_refused", "orders"), ("order_refused", "models"),
        ("command_kill", "commands"), ("daily_summary", "summary"), ("something_new", "other"),
    ],
)  # fmt: skip
def test_a_name_says_its_kind(alert: str, kind: str) -> None:
    assert kind_of(alert) == kind


def test_an_error_passes_whatever_is_left_out() -> None:
    nothing = AlertFilter("error", ())
    assert [nothing.passes("session_halted", level) for level in ("info", "warning", "error", "fatal")] == [False, False, True, True]


def test_a_summary_has_no_level_to_be_measured_by() -> None:
    assert AlertFilter("error").passes("daily_summary", "info")
    assert not AlertFilter("info", ("fills",)).passes("daily_summary", "info")
