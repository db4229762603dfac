"""One loader for the process environment and `.env`: who wins, whose file it is, and what child processes get of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forwardtrader.core import log
from forwardtrader.core.command.cli import end_well
from forwardtrader.core.config import load_settings
from forwardtrader.core.environment import environment
from forwardtrader.live.monitoring.alerts import alerts_from
from forwardtrader.live.venue.keys import api_keys
from tests import ROOT


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "above" / "project"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", "BINANCE_API_KEY", "BINANCE_API_SECRET", "RISK_TOLERANCE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def write(folder: Path, *lines: str) -> None:
    (folder / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_reader_finds_what_only_the_file_names(project: Path) -> None:
    write(
        project, "TELEGRAM_BOT_TOKEN=1:abc", "TELEGRAM_CHAT_ID=424242", "BINANCE_API_KEY=k", "BINANCE_API_SECRET=s", "RISK_TOLERANCE=0.05"
    )
    alerts = alerts_from(name="one", api="http://127.0.0.1:9")
    assert alerts is not None
    alerts.close()
    assert api_keys("binance") == {"api_key": "k", "api_secret": "s"}
    assert load_settings().strategies.risk_tolerance == 0.05


def test_the_process_wins_over_the_file_also_with_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "RISK_TOLERANCE=0.05", "TELEGRAM_BOT_TOKEN=1:abc", "TELEGRAM_CHAT_ID=424242")
    monkeypatch.setenv("RISK_TOLERANCE", "0.03")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "")
    assert load_settings().strategies.risk_tolerance == 0.03
    assert alerts_from(name="one") is None


def test_the_file_of_a_folder_above_is_not_the_projects(project: Path) -> None:
    write(project.parent, "TELEGRAM_BOT_TOKEN=1:abc", "BINANCE_API_SECRET=verysecret")
    assert not {"TELEGRAM_BOT_TOKEN", "BINANCE_API_SECRET"} & environment().keys()


def test_a_file_that_was_changed_is_read_again(project: Path) -> None:
    write(project, "BINANCE_API_KEY=first")
    assert environment()["BINANCE_API_KEY"] == "first"
    write(project, "BINANCE_API_KEY=the second")
    assert environment()["BINANCE_API_KEY"] == "the second"


def test_a_file_of_an_editor_that_marks_its_encoding_is_read_whole(project: Path) -> None:
    (project / ".env").write_bytes(b"\xef\xbb\xbfBINANCE_API_KEY=k\r\nBINANCE_API_SECRET=s\r\n")
    assert api_keys("binance") == {"api_key": "k", "api_secret": "s"}


@pytest.mark.parametrize(
    ("content", "piece"),
    [(b"A=1\nBINANCE API KEY=x\n", "line 2"), (b"A=\xff\xfe\n", "UTF-8"), (b"A='open\nB=1\n", "line 1"), (b"A=a\0b\n", "line 1")],
)
def test_a_file_that_cannot_be_read_ends_the_command_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], content: bytes, piece: str
) -> None:
    (project / ".env").write_bytes(content)
    assert end_well(lambda: 0) == 2
    said = capsys.readouterr().err
    assert piece in said and said.count("\n") == 1 and str(project / ".env") in said
    assert log.redact("signature=abc") == "signature=***"  # a log can be written all the same


def test_a_command_hands_the_file_to_its_child_processes_wherever_they_run(project: Path, tmp_path: Path) -> None:
    write(project, "FIRESTORE_EMULATOR_HOST=127.0.0.1:8", "BINANCE_API_SECRET=verysecret")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere, "BINANCE_API_SECRET=another", "STRANGER=1")
    program = (
        "import json, os; from forwardtrader.core.environment import environment; print(json.dumps([dict(os.environ), environment()]))"
    )
    found: list[dict[str, str]] = []

    def command() -> int:
        there = {**os.environ, "PYTHONPATH": str(ROOT)}
        found.extend(json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=elsewhere, env=there)))
        return 0

    assert end_well(command) == 0
    for known in found:
        assert (known["FIRESTORE_EMULATOR_HOST"], known["BINANCE_API_SECRET"]) == ("127.0.0.1:8", "verysecret")
        assert "STRANGER" not in known
    assert "BINANCE_API_SECRET" not in os.environ  # whoever runs a command within a longer process gets no variables from it
