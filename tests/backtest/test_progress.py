"""What a run tells other programs of its progress."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from forwardtrader.backtest.progress import DONE, ProgressFile, RunProgress


def test_a_file_says_what_is_being_done_and_how_far_it_is(tmp_path: Path) -> None:
    told = tmp_path / "progress.json"
    with RunProgress(Console(), shown=False, told=told) as progress, progress.stage("train", "training folds") as stage:
        assert json.loads(told.read_text()) == {"stage": "train", "what": "training folds", "done": 0, "total": 0, "page": ""}
        for done in range(1, 1001):
            stage(done, 1000)
        assert json.loads(told.read_text())["done"] == 1000, "the last one is always told"
    ProgressFile(told).tell(DONE, "done", page="a-run")
    assert json.loads(told.read_text())["page"] == "a-run"
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_a_run_goes_on_where_nothing_can_be_told(tmp_path: Path) -> None:
    with (
        RunProgress(Console(), shown=False, told=tmp_path / "nowhere" / "x.json") as progress,
        progress.stage("train", "training") as stage,
    ):
        stage(1, 2)
    assert "train" in progress.seconds
