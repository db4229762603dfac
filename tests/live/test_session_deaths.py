"""A session that dies without a word is reported by its guardian; one that ends well has none left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live.session_runner import start, wait_for_bars
from tests.live.telegram.bot_server import Bot, telegram
from tests.live.test_session_stops import begun, open_orders, over, wait_until

pytestmark = pytest.mark.usefixtures("practice_ends")


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    with telegram() as listening:
        for name, value in (("TELEGRAM_BOT_TOKEN", "1:x"), ("TELEGRAM_CHAT_ID", "42"), ("TELEGRAM_API", listening.url)):
            monkeypatch.setenv(name, value)
        yield listening


def guardians(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if any("guardian" in word for word in child.cmdline())]


@pytest.mark.executes
def test_a_process_killed_by_the_system_is_an_alert_and_keeps_its_orders(tmp_path: Path, bot: Bot) -> None:
    process = begun(tmp_path)
    [guardian] = guardians(process.pid)
    environment, words = guardian.environ(), guardian.cmdline()
    process.kill()
    over(process)
    wait_until(lambda: any("died without a word" in text for text in bot.texts))
    wait_until(lambda: not guardian.is_running())
    assert len(open_orders(tmp_path)) == 1
    lines = [json.loads(line) for line in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines if line["event"] == "ended_by_guardian"] == ["info"]
    assert not any("SECRET" in name or "TOKEN" in name or "KEY" in name for name in environment), "what it knows came by its input"
    assert not any("1:x" in word for word in words)


def test_a_session_that_ends_well_takes_its_guardian_with_it_and_says_nothing(tmp_path: Path, bot: Bot) -> None:
    process = start(tmp_path, "one", 0, "--symbol", "BTC/USDT")
    wait_for_bars(tmp_path, "one", 5, process)
    [guardian] = guardians(process.pid)
    process.terminate()
    assert over(process) == 0
    wait_until(lambda: not guardian.is_running())
    assert not any("died" in text for text in bot.texts)
