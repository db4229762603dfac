"""The sweep files of the documentation are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forwardtrader.backtest.sweep.file import read_plan
from forwardtrader.core.settings import Settings
from tests import ROOT

PAGE = ROOT / "docs" / "scaling.md"
_FILES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = [text for text in _FILES if "window:" not in text]  # that one is for --optimise


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_sweep(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    plan = read_plan(path, Settings())
    assert plan.trials == 40 or len(plan.grid()) == 12


def test_there_is_one_example_of_each_kind() -> None:
    assert (len(EXAMPLES), len(_FILES)) == (2, 3)
