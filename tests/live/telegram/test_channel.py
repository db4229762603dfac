"""The channel to a chat: alerts are sent, retried or dropped, and never waited for."""

from __future__ import annotations

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.telegram.alerts import alerts_from
from forwardtrader.live.telegram.channel import TelegramChannel
from tests.live.telegram.bot_server import telegram


@pytest.mark.parametrize(
    ("level", "answers", "sent", "dropped"),
    [("error", [], 1, 0), ("info", [500, 429], 1, 0), ("info", [401], 0, 1), ("info", [500, 500, 500], 0, 1)],
)
def test_an_alert_is_sent_or_dropped_and_secrets_are_struck_out(level: str, answers: list[int], sent: int, dropped: int) -> None:
    with telegram(list(answers)) as bot:
        alerts = TelegramChannel("123456:abcdef", "42", name="paper", api=bot.url, pause_s=0.01)
        alerts.send(level, "order failed: signature=deadbeef")
        alerts.close(30)
    assert (alerts.sent, alerts.dropped) == (sent, dropped)
    if sent:
        assert bot.heard[0]["text"].endswith("paper: order failed: signature=***")
        assert bot.heard[0]["chat_id"] == "42"
        assert bot.heard[0]["path"] == "/bot123456:abcdef/sendMessage"


def test_a_dead_network_costs_the_sender_no_time() -> None:
    alerts = TelegramChannel("1:x", "42", name="paper", api="http://127.0.0.1:9", pause_s=0.01)
    for n in range(500):
        alerts.send("info", str(n))
    assert alerts.dropped > 0, "rather than waited for"
    alerts.close(0.1)


def test_without_a_token_nobody_is_told() -> None:
    assert alerts_from({}, name="a") is None


def test_a_token_without_a_chat_is_a_mistake_that_says_how_to_fix_it() -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_CHAT_ID is missing"):
        alerts_from({"TELEGRAM_BOT_TOKEN": "x"}, name="a")
