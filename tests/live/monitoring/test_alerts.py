"""Alerts by Telegram: sent, retried or dropped, and never waited for."""

from __future__ import annotations

import pytest

from forwardtrader.live.monitoring.alerts import TelegramAlerts, alerts_from
from tests.live.telegram_bot import telegram


@pytest.mark.parametrize(("answers", "sent", "dropped"), [([], 1, 0), ([500, 429], 1, 0), ([401], 0, 1), ([500, 500, 500], 0, 1)])
def test_an_alert_is_sent_or_dropped_and_secrets_are_struck_out(answers: list[int], sent: int, dropped: int) -> None:
    with telegram(list(answers)) as bot:
        alerts = TelegramAlerts("123456:abcdef", "42", name="paper", api=bot.url, pause_s=0.01)
        alerts.send("error", "order failed: signature=deadbeef")
        alerts.close()
    assert (alerts.sent, alerts.dropped) == (sent, dropped)
    if sent:
        assert bot.heard[0]["text"] == "!! paper: order failed: signature=***"
        assert bot.heard[0]["chat_id"] == "42"
        assert bot.heard[0]["path"] == "/bot123456:abcdef/sendMessage"


def test_a_dead_network_costs_the_sender_no_time() -> None:
    alerts = TelegramAlerts("1:x", "42", name="paper", api="http://127.0.0.1:9", pause_s=0.01)
    for n in range(500):
        alerts.send("info", str(n))
    assert alerts.dropped > 0, "rather than waited for"
    alerts.close(0.1)


def test_without_a_token_nobody_is_told() -> None:
    assert alerts_from({"TELEGRAM_BOT_TOKEN": "x"}, name="a") is None
