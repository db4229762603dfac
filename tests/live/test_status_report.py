"""`--status`: what is true now, on the terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.live import cli as entry
from forwardtrader.live import control
from forwardtrader.live.heartbeat import newest_beat
from forwardtrader.reports.pages.session_status import FILE_NAME
from tests.live.session_runner import request_for, run
from tests.live.test_session_stops import ONE, begun, over, wait_until

pytestmark = pytest.mark.usefixtures("practice_ends")


def status_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    words = ["--status", "--json", "--set", f"live.sessions_path={tmp_path}"]
    assert entry.command(words, SystemClock()) == 0, "the only session that there is"
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_running_session_is_read_from_its_own_files_and_not_from_an_old_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = begun(tmp_path)
    wait_until(lambda: (beat := newest_beat(tmp_path / "one")) is not None and beat[0].turn_age_s is not None)  # it beats once a second
    stale = tmp_path / "one" / FILE_NAME
    if stale.exists():
        stale.unlink()
    found = status_of(tmp_path, capsys)
    assert (found["standing"], found["process"]) == ("running", process.pid)
    assert found["positions"] == {"BTC/USDT": pytest.approx(0.00999)}
    assert len(found["resting"]) == 1
    assert found["bars"] >= 6 and found["heartbeat_age_s"] < 60 and found["turn_age_s"] is not None
    process.kill()
    over(process)
    found = status_of(tmp_path, capsys)
    assert (found["standing"], found["process"]) == ("died", None)
    assert len(found["resting"]) == 1, "what it left"
    control.kill(tmp_path / "one")
    assert status_of(tmp_path, capsys)["standing"] == "killed"


def test_a_session_that_hangs_is_told_as_hung(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = begun(tmp_path)
    (tmp_path / "sleep").touch()
    wait_until(lambda: (beat := newest_beat(tmp_path / "one")) is not None and (beat[0].turn_age_s or 0) > 2)
    words = ["--status", "--set", f"live.sessions_path={tmp_path}", "--set", "risk.max_stall_s=1"]
    assert entry.command(words, SystemClock()) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "hung" in said and "has not turned" in said, said
    process.kill()
    over(process)


def test_a_session_that_ended_says_so_and_a_half_made_one_is_not_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(request_for(tmp_path, "one", 5, symbols=ONE)) == 0
    assert status_of(tmp_path, capsys)["standing"] == "stopped"
    with pytest.raises(ConfigError):
        run(request_for(tmp_path, "two", 5, "--set", "strategies.cash=0.01", symbols=ONE))
    left = {path.name for path in (tmp_path / "two").iterdir()}
    assert left <= {"log.jsonl", "session.lock", "session.pid", "commands"}, left
    lines = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines if line["event"] == "start_failed"] == ["error"]
    assert entry.command(["--status", "--session", "two", "--set", f"live.sessions_path={tmp_path}"], SystemClock()) == 2
    assert "log.jsonl says why" in capsys.readouterr().err
