"""Log files: bounded, moved aside between two lines, by whichever process finds one full."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from forwardtrader.core import log
from tests import PATIENCE_S
from tests.processes import begin

LOG = log.logger("core")
WRITER = """
import sys
from pathlib import Path
from forwardtrader.core import log
with log.log_to(Path(sys.argv[1]), most_bytes=20_000):
    for number in range(300):
        log.event(log.logger("core"), "counted", writer=sys.argv[2], number=number, filling="x" * 30)
"""


def entries(path: Path) -> list[dict[str, object]]:
    """Every line of a log, oldest first."""
    return [json.loads(line) for place in (*log.rotated(path), path) if place.is_file() for line in place.read_text().splitlines()]


def test_a_full_file_is_moved_aside_and_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with log.log_to(path, most_bytes=1000):
        for number in range(200):
            log.event(LOG, "counted", number=number)
    numbers = [entry["number"] for entry in entries(path)]
    assert numbers == list(range(200 - len(numbers), 200))
    places = [place for place in (*log.rotated(path), path) if place.is_file()]
    assert len(places) == 6
    assert all(place.stat().st_size < 1200 and place.stat().st_mode & 0o077 == 0 for place in places)


def test_processes_that_share_a_log_lose_no_line_and_tear_none(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    processes = [begin([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    for process in processes:
        assert process.communicate(timeout=PATIENCE_S) == ("", "")
    found = entries(path)
    assert len(log.rotated(path)) > sum(place.is_file() for place in log.rotated(path)) > 1, "moved aside, and none dropped yet"
    for name in "ab":
        assert sorted(int(str(entry["number"])) for entry in found if entry["writer"] == name) == list(range(300))


def test_a_gap_in_the_row_of_files_is_left_by_a_move_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for number in (1, 3):
        path.with_name(f"log.jsonl.{number}").write_text(f'{{"number": {number}}}\n')
    path.write_text('{"number": 0}\n' * 100)
    with log.log_to(path, most_bytes=1000):
        log.event(LOG, "counted", number=-1)
    assert {place.name: json.loads(place.read_text().splitlines()[0])["number"] for place in tmp_path.glob("log.jsonl*")} == {
        "log.jsonl": -1, "log.jsonl.1": 0, "log.jsonl.2": 1, "log.jsonl.4": 3,
    }  # fmt: skip


def test_a_log_whose_folder_is_gone_stops_nobody_and_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "one"
    with log.log_to(folder / "log.jsonl"):
        log.event(LOG, "first")
        shutil.rmtree(folder)
        log.event(LOG, "second")
        log.event(LOG, "another")
        folder.mkdir()
        log.event(LOG, "third")
    assert [entry["event"] for entry in entries(folder / "log.jsonl")] == ["third"]
    told = capsys.readouterr().err
    assert told.startswith(f"the log {folder / 'log.jsonl'} cannot be written (No such file") and told.count("\n") == 1
