"""The channel to a chat: alerts are sent, retried or dropped, and never waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.telegram.alert_filter import AlertFilter
from forwardtrader.live.telegram.alerts import alerts_from
from forwardtrader.live.telegram.channel import TelegramChannel
from tests import PATIENCE_S
from tests.live.telegram.bot_server import Bot, telegram

DEAD = "http://127.0.0.1:9"


def channel(bot: Bot | None, folder: Path | None = None, alert_filter: AlertFilter | None = None) -> TelegramChannel:
    api = DEAD if bot is None else bot.url
    return TelegramChannel("1:x", "42", name="one", api=api, pause_s=0.01, folder=folder, alert_filter=alert_filter)


@pytest.mark.parametrize(
    ("level", "answers", "sent", "dropped"),
    [("error", [], 1, 0), ("info", [500, 429], 1, 0), ("info", [401], 0, 1), ("info", [500, 500, 500], 0, 1)],
)
def test_an_alert_is_sent_or_dropped_and_secrets_are_struck_out(level: str, answers: list[int], sent: int, dropped: int) -> None:
    with telegram(list(answers)) as bot:
        alerts = TelegramChannel("123456:abcdef", "42", name="paper", api=bot.url, pause_s=0.01)
        alerts.send("order_unresolved", level, "order failed: signature=deadbeef")
        alerts.close(30)
    assert (alerts.sent, alerts.dropped) == (sent, dropped)
    if sent:
        assert bot.heard[0]["text"].endswith("paper: order failed: signature=***")
        assert bot.heard[0]["chat_id"] == "42"
        assert bot.heard[0]["path"] == "/bot123456:abcdef/sendMessage"


def test_a_dead_network_costs_the_sender_no_time() -> None:
    alerts = TelegramChannel("1:x", "42", name="paper", api="http://127.0.0.1:9", pause_s=0.01)
    for n in range(500):
        alerts.send("drift", "info", str(n))
    assert alerts.dropped > 0, "rather than waited for"
    alerts.close(0.1)


def test_without_a_token_nobody_is_told() -> None:
    assert alerts_from({}, name="a") is None


def test_a_token_without_a_chat_is_a_mistake_that_says_how_to_fix_it() -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_CHAT_ID is missing"):
        alerts_from({"TELEGRAM_BOT_TOKEN": "x"}, name="a")


def test_a_chat_without_a_token_and_what_is_no_chat_are_mistakes_too() -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_CHAT_ID is set and TELEGRAM_BOT_TOKEN is missing"):
        alerts_from({"TELEGRAM_CHAT_ID": "42"}, name="a")
    for chat in ("my chat", "4.2", "0", "-", "9" * 40, "@me"):
        with pytest.raises(ConfigError, match="neither a number nor the @name"):
            alerts_from({"TELEGRAM_BOT_TOKEN": "12:AAsecret", "TELEGRAM_CHAT_ID": chat}, name="a")


def test_what_has_not_the_form_of_a_token_is_a_mistake_that_says_how_to_fix_it() -> None:
    with pytest.raises(ConfigError, match="NUMBER:TEXT"):
        alerts_from({"TELEGRAM_BOT_TOKEN": "x", "TELEGRAM_CHAT_ID": "42"}, name="a")


def test_only_what_the_settings_ask_for_is_sent_and_every_error() -> None:
    with telegram() as bot:
        alerts = channel(bot, alert_filter=AlertFilter("warning", ("stops",)))
        for alert, level in (("order_filled", "warning"), ("stop_filled", "warning"), ("stop_filled", "info"), ("foreign_order", "error")):
            alerts.send(alert, level, f"{alert} {level}")
        alerts.close(PATIENCE_S)
    assert sorted(bot.texts) == ["! one: stop_filled warning", "!! one: foreign_order error"]


def test_an_error_that_could_not_be_sent_is_sent_by_the_next_process_once(tmp_path: Path) -> None:
    for _ in range(2):
        alerts = channel(None, tmp_path)
        alerts.send("session_halted", "error", "session halted")
        alerts.send("drift", "info", "drift")
        alerts.close(PATIENCE_S)
    with telegram() as bot:
        for _ in range(2):
            alerts = channel(bot, tmp_path)
            alerts.send("drift", "info", "drift")
            alerts.close(PATIENCE_S)
    late = [text for text in bot.texts if "halted" in text]
    assert late == ["!! one: session halted (sent late)", "!! one: session halted"] or late == ["!! one: session halted (sent late)"] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"known_chat": False}, "refuses the chat"), ({"is_revoked": True}, "refuses the bot token"), ({"clock_off_s": -95.0}, "s off"),
        ({"is_blocked": True}, "refuses the chat"), ({}, ""),
    ],
)  # fmt: skip
def test_a_start_says_in_one_line_why_nothing_can_be_sent(state: dict[str, Any], says: str) -> None:
    troubles: list[str] = []
    with telegram() as bot:
        vars(bot).update(state)
        alerts = channel(bot)
        alerts.check(troubles.append)
        alerts.close(PATIENCE_S)
    assert len(troubles) == bool(says) and all(says in line and "\n" not in line for line in troubles)


def test_a_message_that_cannot_be_sent_for_an_unforeseen_reason_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from forwardtrader.live.telegram import bot as door

    with telegram() as bot:
        monkeypatch.setattr(door, "_LONGEST_CAPTION", "no number")
        alerts = channel(bot)
        alerts._outbox.summary("a day", b"no picture")
        alerts.send("session_halted", "error", "last")
        alerts.close(PATIENCE_S)
    assert bot.texts == ["!! one: last"] and alerts.dropped == 1


def test_a_channel_that_closes_sends_what_waits_without_pauses() -> None:
    with telegram() as bot:
        alerts = TelegramChannel("1:x", "42", name="one", api=bot.url, pause_s=10 * PATIENCE_S)
        for n in range(9):
            alerts.send("drift", "warning", f"number {n}")
        alerts.close(PATIENCE_S)
    assert (alerts.sent, alerts.dropped) == (9, 0)
