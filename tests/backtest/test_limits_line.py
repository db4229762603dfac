"""Limits of the account in a run: one line on terminal and page, all of it in run.json, and settings of a sweep."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from forwardtrader.backtest.sweep.file import read_plan
from forwardtrader.core.settings import Settings
from tests.end_to_end.test_backtest_command import run

STRATEGY = """
import backtrader as bt
class InAndOut(bt.Strategy):
    def next(self):
        if not self.position:
            self.buy(size=0.1)
        elif len(self) % 7 == 0:
            self.close()
"""


@pytest.mark.slow
def test_a_run_says_when_its_limits_were_reached_and_what_they_refused(tmp_path: Path) -> None:
    (tmp_path / "limited_history.py").write_text(STRATEGY)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code, folder = run(
            tmp_path, "--strategy", f"{tmp_path / 'limited_history.py'}:InAndOut",
            "--set", "risk.max_drawdown=0.02", "--set", "risk.max_losing_streak=3",
        )  # fmt: skip
    assert code == 0
    limits = json.loads((folder / "run.json").read_text())["limits"]
    assert limits["state"] == "halted"
    assert limits["reason"].startswith("risk.max_drawdown")
    assert limits["refused"]["halted (risk.max_drawdown)"] > 0
    line = "The account's limits were reached"
    assert line in " ".join(said.getvalue().split())
    assert line in (folder / "index.html").read_text().replace("&#39;", "'")


def test_limits_can_be_swept_over(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("risk.max_drawdown: [0.1, 0.2]\nrisk.max_losing_streak: {low: 2, high: 4, step: 1}\n")
    axes = {axis.key: axis.choices for axis in read_plan(file, Settings()).axes}
    assert axes == {"risk.max_drawdown": (0.1, 0.2), "risk.max_losing_streak": (2, 3, 4)}
