"""The one backtest of the page: started once, found again by another server, stopped, and honest about how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.serve.facts.backtest_process import BacktestProcess, BacktestState
from tests import PATIENCE_S

WORDS = ("--from=2022-01-01", "--to=2022-01-10", "--source=sample", "--train-window=30d", "--baselines=none", "--forecaster=ridge")


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BacktestProcess]:
    monkeypatch.chdir(tmp_path)
    found = BacktestProcess(tmp_path / "serve" / "backtest", SystemClock())
    yield found
    if found.is_running:
        found.stop()
        waited(found, lambda state: not state.is_running)


def waited(process: BacktestProcess, until: Callable[[BacktestState], bool]) -> BacktestState:
    end = time.monotonic() + PATIENCE_S
    while (state := process.state()) is None or not until(state):
        assert time.monotonic() < end, state
        time.sleep(0.02)
    return state


def test_one_at_a_time_also_for_another_server_and_a_stopped_one_says_so(process: BacktestProcess, tmp_path: Path) -> None:
    assert process.state() is None and not process.is_running
    process.start(WORDS)
    other = BacktestProcess(tmp_path / "serve" / "backtest", SystemClock())
    for server in (process, other):
        with pytest.raises(ConfigError, match="running already"):
            server.start(WORDS)
    state = other.state()
    assert state is not None and state.is_running and state.command.startswith("forwardtrader backtest --from=2022-01-01")
    waited(process, lambda state: state.what != "starting")
    other.stop()
    state = waited(process, lambda state: not state.is_running)
    assert state.has_failed and "interrupted" in state.last_line
    with pytest.raises(ConfigError, match="no backtest is running"):
        process.stop()


def test_one_that_cannot_be_done_tells_why(process: BacktestProcess) -> None:
    process.start(["--from=2022-01-01", "--data=nowhere.csv"])
    state = waited(process, lambda state: not state.is_running)
    assert state.has_failed and "nowhere.csv" in state.last_line


@pytest.mark.parametrize("content", ["", "{", "[]", '{"command": 1}', '{"command": "x", "started": "never"}'])
def test_notes_that_cannot_be_read_are_no_backtest(process: BacktestProcess, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "serve" / "backtest"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(content)
    (folder / "progress.json").write_text(content)
    assert process.state() is None
