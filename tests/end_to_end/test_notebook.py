"""The notebook of examples/ runs from its first cell to its last."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.user_code import declared
from tests import ROOT


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; returns the value of its last line, where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(declared, "_declared", {})  # as in a kernel that has just started
    book = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [run_cell(cell["source"], names) for cell in book["cells"] if cell["cell_type"] == "code"]
    market, forecasts, scores, run, table = shown
    assert market[1] == 4344 and len(forecasts) == 3
    assert [name for _, name in scores.index] == ["Ridge", "lightgbm"]
    assert "verdict" in table.index and run.verdict in run._repr_html_()
    assert not any(cell.get("outputs") for cell in book["cells"])
