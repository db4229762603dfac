"""The summary of a day: once, from the session's files, with a picture."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.telegram.channel import TelegramChannel
from forwardtrader.live.telegram.session_chat import begin_chat
from forwardtrader.live.telegram.summary import DailySummary
from tests import PATIENCE_S
from tests.live.session_runner import request_for
from tests.live.telegram.bot_server import telegram, until

NOW = datetime(2026, 3, 2, 0, 0, 5, tzinfo=UTC)
NEWEST = 739677.0  # Backtrader's number of some day


def store_with(folder: Path, hours: int) -> SessionStore:
    store = SessionStore(folder / "session.db")
    equity = [(NEWEST - n / 24, 1000.0 + hours - n, 1000.0, 100.0) for n in range(hours)]
    store.record([], [], rows=Rows(("BTC/USDT",), [], [], equity))
    store.note((NOW - timedelta(hours=2)).isoformat(), "error", "session_halted")
    return store


def test_it_is_sent_once_a_day_with_its_picture_also_after_a_restart(tmp_path: Path) -> None:
    request = request_for(tmp_path, "one", 0)
    store = store_with(request.folder, 48)
    store.note((NOW - timedelta(days=1)).isoformat(), "info", "daily_summary")
    with telegram() as bot:
        channel = TelegramChannel("1:x", "42", name="one", api=bot.url, pause_s=0.01)
        begin_chat(channel, request, FixedClock(NOW), store, SessionHealth(store, FixedClock(NOW), channel.send), lambda _line: None)
        until(lambda: bot.texts)
        channel.close(PATIENCE_S)
    newest = store.newest_note("daily_summary")
    assert newest is not None and not DailySummary(request, FixedClock(NOW), date.fromisoformat(newest[:10]), store.note).is_due()
    store.close()
    assert len(bot.texts) == 1
    assert bot.texts[0].startswith("one: summary of 2026-03-01: ")
    assert "equity 1,048.00, +24.00 in a day" in bot.texts[0] and "alerts: 1 errors" in bot.texts[0]
    assert bot.heard[0]["photo"].startswith(b"\x89PNG")


def test_a_first_day_is_not_over_before_midnight_and_a_session_without_bars_has_no_picture(tmp_path: Path) -> None:
    recorded: list[str] = []
    request = request_for(tmp_path, "one", 0)
    assert not DailySummary(request, FixedClock(NOW), None, lambda *_alert, **_facts: None).is_due()
    summary = DailySummary(request, FixedClock(NOW), date(2026, 2, 20), lambda kind, *_level, **_facts: recorded.append(kind))
    assert summary.is_due()
    request.folder.mkdir(parents=True)
    assert summary.make()[1] == b""
    assert not summary.is_due() and recorded == ["daily_summary"]
