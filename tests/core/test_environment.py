"""One loader for the process environment and `.env`: who wins, whose file it is, and what child processes get of it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forwardtrader.core import log
from forwardtrader.core.command.child import child_environment, without_keys
from forwardtrader.core.command.cli import end_well
from forwardtrader.core.config import load_settings
from forwardtrader.core.environment import environment, is_secret
from forwardtrader.live.telegram.alerts import alerts_from
from forwardtrader.live.venue.keys import api_keys
from forwardtrader.models.parallel.local_workers import Processes
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
    telegram = ("TELEGRAM_BOT_TOKEN=1:abc", "TELEGRAM_CHAT_ID=424242", "TELEGRAM_API=http://127.0.0.1:9")
    write(project, *telegram, "BINANCE_API_KEY=k", "BINANCE_API_SECRET=s", "RISK_TOLERANCE=0.05")
    alerts = alerts_from(name="one")
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


def told(env: dict[str, str], cwd: Path) -> list[dict[str, str]]:
    """What a child process finds: its own variables, and what our loader makes of them."""
    program = (
        "import json, os; from forwardtrader.core.environment import environment; print(json.dumps([dict(os.environ), environment()]))"
    )
    found: list[dict[str, str]] = json.loads(subprocess.check_output([sys.executable, "-P", "-c", program], cwd=cwd, env=env))
    return found


def test_a_command_gives_libraries_the_places_in_the_file_and_nobody_its_keys(project: Path) -> None:
    write(project, "FIRESTORE_EMULATOR_HOST=127.0.0.1:8", "BINANCE_API_SECRET=verysecret")

    def command() -> int:
        assert os.environ["FIRESTORE_EMULATOR_HOST"] == "127.0.0.1:8"
        assert "BINANCE_API_SECRET" not in os.environ
        assert environment()["BINANCE_API_SECRET"] == "verysecret"
        return 0

    assert end_well(command) == 0
    assert "FIRESTORE_EMULATOR_HOST" not in os.environ  # whoever runs a command within a longer process gets no variables from it


def test_a_child_process_is_given_what_it_needs_and_no_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "BINANCE_API_SECRET=of the file", "RISK_TOLERANCE=0.05")
    keys = {"BYBIT_API_KEY": "k", "OKX_PASSPHRASE": "p", "VENDOR_CODE": "c", "FIREBASE_CREDENTIALS_PATH": "/f", "PYTHON_TOKEN": "t"}
    for name, value in {**keys, "TZ": "UTC", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    found: list[dict[str, str]] = []

    def command() -> int:
        found.extend(told(child_environment(), project))
        return 0

    assert end_well(command) == 0
    for known in found:
        assert not {*keys, "BINANCE_API_SECRET"} & known.keys()
        assert (known["TZ"], known["OMP_NUM_THREADS"], known["RISK_TOLERANCE"]) == ("UTC", "1", "0.05")


def test_processes_that_a_library_starts_have_no_key_either(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "BINANCE_API_SECRET=of the file")
    monkeypatch.setenv("BYBIT_API_KEY", "k")
    before = dict(os.environ)
    with without_keys():
        found = told({**os.environ, "PYTHONPATH": str(ROOT)}, project)
    assert not any({"BYBIT_API_KEY", "BINANCE_API_SECRET"} & known.keys() for known in found)
    assert dict(os.environ) == before


def keys_of_this_process(shared: None, item: int) -> list[str]:
    return [name for name in environment() if is_secret(name)]


def test_training_workers_have_no_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "BINANCE_API_SECRET=of the file")
    monkeypatch.setenv("BYBIT_API_KEY", "k")
    assert dict(Processes(2).run(keys_of_this_process, None, [1, 2])) == {0: [], 1: []}


def test_no_other_module_reads_variables_of_its_own() -> None:
    """A key that is read past the loader is ignored in `.env`, and struck out of nothing."""
    readers = {
        str(path.relative_to(ROOT))
        for package in ("core", "feeds", "models", "strategies", "backtest", "live", "reports", "sandbox")
        for path in (ROOT / package).rglob("*.py")
        if any(getattr(node, "attr", "") in ("environ", "getenv") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert readers == {
        "core/environment.py", "core/credentials.py", "core/command/child.py", "core/command/project.py",
        "feeds/venues/reach.py",  # the proxy, as every other program of the machine has it
        "live/__init__.py", "models/forecasters/compiled_code.py", "models/forecasters/xla.py",  # of libraries, before they are imported
        "core/user_code/modules.py",  # why a library did not import
        "core/command/terminal.py",  # how wide it is
    }  # fmt: skip
