"""What a session says and hears in its chat, besides its alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from forwardtrader.core.clock import Clock
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.telegram.alert_filter import SUMMARY
from forwardtrader.live.telegram.channel import TelegramChannel
from forwardtrader.live.telegram.commands import ChatCommands
from forwardtrader.live.telegram.summary import DailySummary


def begin_chat(
    channel: TelegramChannel, request: LiveRequest, clock: Clock, store: SessionStore, health: SessionHealth, show: Callable[[str], None]
) -> None:  # fmt: skip
    """Check bot and chat, and begin with summaries and commands; all of it in the channel's thread.

    Args:
        show: shows one line where Telegram cannot be used.
    """

    def trouble(reason: str) -> None:
        health.notify("telegram_unusable", "error", reason=reason)
        show(f"no alerts by Telegram: {reason}")

    channel.check(trouble)
    newest = store.newest_note(SUMMARY)
    channel.summarise(DailySummary(request, clock, None if newest is None else datetime.fromisoformat(newest).date(), health.record))
    if request.settings.live.telegram_commands:
        ChatCommands(channel, request, clock, health.notify).begin()
