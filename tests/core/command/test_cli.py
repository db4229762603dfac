"""A command ends with the code of what stood in its way, and one line about it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forwardtrader.core import log
from forwardtrader.core.command.cli import end_well
from forwardtrader.core.command.installed import MEND
from forwardtrader.core.errors import RiskHalt, TradingError, UnknownSymbol, VenueUnreachable
from tests import PATIENCE_S


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnknownSymbol("no such symbol"), 2), (VenueUnreachable("nobody\nanswers"), 3), (RiskHalt("halted"), 4), (TradingError("x"), 1)],
)
def test_an_error_of_ours_is_one_line_and_its_own_code(error: TradingError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_well(raising(error)) == code
    assert capsys.readouterr().err == " ".join(str(error).split()) + "\n"


def test_what_the_command_returns_is_returned() -> None:
    assert end_well(lambda: 6) == 6


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_well(raising(KeyboardInterrupt())) == 130
    assert "what was saved is whole" in capsys.readouterr().err


def test_a_bug_is_1_with_its_traceback_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.log_to(tmp_path / "log.jsonl"):
        assert end_well(raising(ZeroDivisionError("by nothing"))) == 1
    written = json.loads((tmp_path / "log.jsonl").read_text())
    assert "ZeroDivisionError" in written["traceback"]
    assert capsys.readouterr().err == "a bug: ZeroDivisionError: by nothing; the traceback is in the log\n"


def test_a_bug_of_a_command_without_a_log_gets_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.Logger, "hasHandlers", lambda self: False)
    assert end_well(raising(KeyError("secret_token=hunter22"))) == 1
    assert "traceback" in json.loads((tmp_path / "var/log.jsonl").read_text())
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "hunter22" not in message


def test_a_package_that_was_never_installed_to_the_end_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_well(raising(ModuleNotFoundError("No module named 'keras.src'", name="keras.src"))) == 2
    assert capsys.readouterr().err == f"{sys.executable} lacks keras; {MEND}\n"
    assert end_well(raising(ModuleNotFoundError("No module named 'models.lost'", name="models.lost"))) == 1


def test_leaving_writes_what_was_said_and_waits_for_no_thread() -> None:
    program = (
        "import threading, time; from forwardtrader.core.command.cli import leave; print('said', end='')\n"
        "threading.Thread(target=time.sleep, args=(60,)).start(); leave(7)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "said", "")


def test_a_file_that_the_user_may_not_touch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise PermissionError(13, "Permission denied", "/srv/var/sessions/one/session.lock")

    assert end_well(command) == 2
    said = capsys.readouterr().err
    assert said == "/srv/var/sessions/one/session.lock: this user may not; give it the right to, or work as the file's owner\n"


@pytest.mark.parametrize(
    ("number", "hint"), [(36, "the name is too long"), (20, "where a folder is needed"), (30, "read-only"), (40, "a link")]
)
def test_a_path_that_no_file_can_have_is_one_line(capsys: pytest.CaptureFixture[str], number: int, hint: str) -> None:
    assert end_well(raising(OSError(number, "as the system says", "runs/one"))) == 2
    said = capsys.readouterr().err
    assert said.startswith("runs/one: ") and hint in said and said.count("\n") == 1


def test_a_full_disk_is_one_line_whoever_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_well(raising(OSError(28, "No space left on device"))) == 3
    assert "no space left" in capsys.readouterr().err
    assert end_well(raising(OSError(5, "Input/output error", "one"))) == 1
