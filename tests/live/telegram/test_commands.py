"""Commands from the chat, through the session's real mailbox, a Bot API server on loopback and the real library."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.control import held, lock_of
from forwardtrader.live.mailbox import Mailbox
from forwardtrader.live.telegram.channel import TelegramChannel
from forwardtrader.live.telegram.commands import ChatCommands
from tests import PATIENCE_S
from tests.live.session_runner import request_for
from tests.live.telegram.bot_server import Bot, telegram, until

TOKEN = "123456:AAsecretsecret"


class Session:
    """Holds the lock, carries out whatever arrives in its mailbox, and notes its alerts."""

    def __init__(self, folder: Path) -> None:
        self.obeyed: list[str] = []
        self.alerts: list[tuple[str, str]] = []
        self._mailbox = Mailbox(folder, SystemClock())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def notify(self, kind: str, level: str = "warning", **facts: object) -> None:
        self.alerts.append((kind, str(facts.get("reason", ""))))

    def _work(self) -> None:
        while not self._over.wait(0.01):
            for command in self._mailbox.take():
                self.obeyed.append(command.verb)
                self._mailbox.answer(command, f"{command.verb} done, until --resume", obeyed=command.verb != "resume")

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._mailbox.close()


@contextmanager
def listening(folder: Path, bot: Bot, monotonic: Callable[[], float] = time.monotonic) -> Iterator[Session]:
    request = request_for(folder, "one", 0)
    with held(lock_of(request.folder), "session"):
        session = Session(request.folder)
        channel = TelegramChannel(TOKEN, "42", name="one", api=bot.url, pause_s=0.01)
        ChatCommands(channel, request, SystemClock(), session.notify, monotonic=monotonic).begin()
        try:
            yield session
        finally:
            channel.close(PATIENCE_S)
            session.end()


def listens(bot: Bot) -> bool:
    """Whether what waited has been dropped."""
    return bot.asked.count("getUpdates") >= 2


@pytest.fixture
def bot() -> Iterator[Bot]:
    with telegram() as server:
        yield server


def test_a_command_is_carried_out_by_the_session_and_answered(tmp_path: Path, bot: Bot) -> None:
    with listening(tmp_path, bot) as session:
        until(lambda: listens(bot))
        bot.say("/pause")
        until(lambda: bot.texts)
        bot.say("/resume@Trader_bot")
        until(lambda: len(bot.texts) == 2)
    assert session.obeyed == ["pause", "resume"]
    assert bot.texts == ["one: pause done, until /resume", "one: NOT DONE: resume done, until /resume"]


def test_a_flatten_waits_for_a_yes(tmp_path: Path, bot: Bot) -> None:
    with listening(tmp_path, bot) as session:
        until(lambda: listens(bot))
        bot.say("/flatten")
        until(lambda: bot.texts)
        assert session.obeyed == [] and "Reply /yes" in bot.texts[0]
        bot.say("/yes")
        until(lambda: len(bot.texts) == 2)
    assert session.obeyed == ["flatten"]


def test_what_waited_while_nobody_listened_is_dropped(tmp_path: Path, bot: Bot) -> None:
    bot.say("/kill")
    bot.say("/yes")
    bot.say("/pause")
    with listening(tmp_path, bot) as session:
        until(lambda: listens(bot))
        bot.say("/help")
        until(lambda: bot.texts)
    assert session.obeyed == [] and len(bot.texts) == 1 and not (tmp_path / "one" / "killed").exists()


def test_strangers_get_no_answer_and_are_an_alert_once(tmp_path: Path, bot: Bot) -> None:
    with listening(tmp_path, bot) as session:
        until(lambda: listens(bot))
        bot.say("/kill", chat=43)
        bot.say("/yes", chat=43)
        bot.say("/pause")
        until(lambda: bot.texts)
    assert session.obeyed == ["pause"] and len(bot.texts) == 1
    assert [kind for kind, _ in session.alerts] == ["telegram_message_ignored"]


def test_a_second_consumer_of_the_token_is_an_alert_and_commands_go_on_after_it(tmp_path: Path, bot: Bot) -> None:
    bot.polls = [200, 409, 409, 409]
    with listening(tmp_path, bot) as session:
        until(lambda: bot.asked.count("getUpdates") >= 5)
        bot.say("/pause")
        until(lambda: bot.texts)
    assert [kind for kind, _ in session.alerts] == ["telegram_commands_not_received"]
    assert "another process receives" in session.alerts[0][1]
    assert session.obeyed == ["pause"]


def test_a_refused_token_is_an_alert_that_does_not_quote_it(
    tmp_path: Path, bot: Bot, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.polls = [401]
    with caplog.at_level(0), listening(tmp_path, bot) as session:
        until(lambda: session.alerts)
    assert "refuses the bot token" in session.alerts[0][1]
    said = f"{session.alerts}{caplog.text}{[vars(record) for record in caplog.records]}{capsys.readouterr()}"
    assert "AAsecret" not in said


def test_a_question_before_the_first_bar_is_answered(tmp_path: Path, bot: Bot) -> None:
    with listening(tmp_path, bot):
        until(lambda: listens(bot))
        for number, word in enumerate(("/status", "/positions", "/profit", "/forecast"), start=1):
            bot.say(word)
            until(lambda n=number: len(bot.texts) == n)
    assert "flat" in bot.texts[1] and "not known yet" in bot.texts[2]
