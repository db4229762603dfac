"""Tables on a terminal that is too narrow for them, or has no width at all."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from forwardtrader.core.command.cli import end_well
from forwardtrader.core.command.terminal import print_table
from tests import PATIENCE_S, ROOT

CELLS = ("20261130-170252-BTC-USDT-1h-2b59cd", "-12.6%", "buy and hold", "reports/output/index.html")


def printed(width: int, *, no_wrap: bool) -> str:
    out = io.StringIO()
    table = Table(title="runs", box=None)
    for name in ("run", "drawdown", "what", "page"):
        table.add_column(name, no_wrap=no_wrap)
    table.add_row(*CELLS)
    print_table(Console(file=out, width=width), table)
    return out.getvalue()


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_no_cell_loses_a_part_on_a_narrow_terminal(width: int) -> None:
    folded, whole = printed(width, no_wrap=False), printed(width, no_wrap=True)
    assert all(word in folded for cell in CELLS for word in cell.split())
    assert all(cell in whole for cell in CELLS) and len(whole.splitlines()) == 3
    assert "\u2026" not in folded + whole


@pytest.mark.parametrize(("columns", "left"), [("0", None), ("7", None), ("40", "40"), ("wide", "wide")])
def test_a_terminal_without_a_width_is_not_taken_for_one_of_no_width(
    monkeypatch: pytest.MonkeyPatch, columns: str, left: str | None
) -> None:

    monkeypatch.setenv("COLUMNS", columns)
    assert end_well(lambda: 0) == 0
    assert os.environ.get("COLUMNS") == left


def test_a_command_answers_where_the_system_says_that_there_are_no_columns(tmp_path: Path) -> None:
    (tmp_path / "reports/output").mkdir(parents=True)
    words = [sys.executable, "-m", "forwardtrader", "models", "list", "--project", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "COLUMNS": "0"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["no", "models"])
