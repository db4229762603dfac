"""The preflight check: one line per check, and the worst exit code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.preflight import checks
from forwardtrader.live.preflight.checks import preflight
from forwardtrader.live.request import read_request
from forwardtrader.live.telegram import alerts
from forwardtrader.live.telegram import bot as door
from tests.live.telegram.bot_server import telegram


def checked(folder: Path, *words: str, width: int = 200) -> tuple[int, list[str]]:
    settings = (f"live.sessions_path={folder}", f"models.save_path={folder / 'models'}", "live.telegram=false")
    request = read_request(["--sandbox", *(word for setting in settings for word in ("--set", setting)), *words])
    out = io.StringIO()
    return preflight(request, SystemClock(), Console(file=out, width=width)), out.getvalue().splitlines()


def test_on_the_practice_exchange_everything_is_in_place_without_keys(tmp_path: Path) -> None:
    code, lines = checked(tmp_path)
    assert code == 0
    assert [line.split(":")[0] for line in lines] == [
        f"ok    {name}" for name in ("venue", "disk", "models", "Firestore", "Telegram", "metrics")
    ]
    assert lines[2].endswith("none for these symbols yet; the start trains one")


def test_what_is_missing_is_named_and_the_other_checks_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(checks, "_LEAST_DISK", 10**18)
    code, lines = checked(tmp_path, "--set", "live.firestore_project=practice")
    assert code == 2
    assert [line.split(":")[0] for line in lines if line.startswith("FAIL")] == ["FAIL  disk", "FAIL  Firestore"]
    assert "FIREBASE_CREDENTIALS_PATH" in next(line for line in lines if "FAIL  Firestore" in line)


@pytest.mark.parametrize(
    ("polls", "webhook", "says"),
    [
        ([], "", "ok    Telegram: @trader_bot may write to the chat, and nobody else receives with its token"),
        ([409], "", "FAIL  Telegram: another process receives with this bot token"),
        ([], "https://somewhere.example/x", "FAIL  Telegram: a webhook receives"),
        ([401], "", "FAIL  Telegram: Telegram refuses the bot token"),
        ({"known_chat": False}, "", "FAIL  Telegram: Telegram refuses the chat"),
        ({"is_blocked": True}, "", "FAIL  Telegram: Telegram refuses the chat"),
        ({"clock_off_s": 95.0}, "", "FAIL  Telegram: this machine's clock is +"),
    ],
)
def test_the_bot_is_asked_whether_it_may_write_and_is_alone(
    polls: list[int] | dict[str, object], webhook: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telegram() as bot:
        bot.webhook = webhook
        vars(bot).update(polls if isinstance(polls, dict) else {"polls": list(polls)})
        monkeypatch.setattr(door, "LISTEN_S", 0.1)
        bot.say("/kill")  # it is neither taken nor dropped
        for name, value in (("TELEGRAM_BOT_TOKEN", "12:AAsecretsecret"), ("TELEGRAM_CHAT_ID", "42"), ("TELEGRAM_API", bot.url)):
            monkeypatch.setenv(name, value)
        code, lines = checked(tmp_path, "--set", "live.telegram=true")
        assert len(bot.updates(0, 0)) == 1
    assert any(line.startswith(says) for line in lines), lines
    assert (code == 0) is says.startswith("ok") and "AAsecret" not in "".join(lines)


def test_a_check_is_one_line_however_narrow_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "no address")
    code, lines = checked(tmp_path, "--set", "live.firestore_project=practice", width=40)
    assert code == 2 and all(line.startswith(("ok    ", "FAIL  ")) for line in lines)
    assert any(line.startswith("FAIL  Firestore: FIRESTORE_EMULATOR_HOST is 'no address'; write it as HOST:PORT") for line in lines)


def test_without_the_library_the_check_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "12:AAsecretsecret")
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "42")
    monkeypatch.setattr(alerts, "find_spec", lambda _name: None)
    code, lines = checked(tmp_path, "--set", "live.telegram=true")
    assert code == 2 and any("pip install 'forwardtrader[telegram]'" in line for line in lines), lines
