"""A session that is commanded in its chat: a process, the practice exchange, the real library, and a Bot API server on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.session_runner import start, wait_for_bars
from tests.live.telegram.bot_server import Bot, telegram
from tests.live.test_session_stops import over, wait_until

pytestmark = pytest.mark.usefixtures("practice_ends")
TOKEN = "123456:AAverysecrettoken"


def asked(bot: Bot, word: str, answer: str) -> None:
    bot.say(word)
    wait_until(lambda: any(answer in text for text in bot.texts))


def test_a_session_is_asked_paused_and_killed_in_its_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with telegram() as bot:
        for name, value in (("TELEGRAM_BOT_TOKEN", TOKEN), ("TELEGRAM_CHAT_ID", "42"), ("TELEGRAM_API", bot.url)):
            monkeypatch.setenv(name, value)
        bot.say("/kill")
        process = start(tmp_path, "one", 0)
        wait_for_bars(tmp_path, "one", 5, process)
        wait_until(lambda: bot.asked.count("getUpdates") >= 2)
        asked(bot, "/forecast", "in 24 bars (")
        asked(bot, "/positions", "orders at the venue")
        asked(bot, "/pause", "paused: nothing adds to a position until /resume (after bar ")
        asked(bot, "/kill", "Reply /yes within 60 s")
        assert process.poll() is None, "the old /kill was dropped, the new one is not confirmed"
        asked(bot, "/yes", "killed: no order until /resume, and the session ends")
        assert over(process) == 4
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"AAverysecret" not in written
