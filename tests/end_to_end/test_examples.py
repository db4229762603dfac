"""Every example that is a script runs as it stands; what is named by a flag has tests of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    "example",
    [path for path in sorted((ROOT / "examples").glob("*.py")) if "the account is worth" in path.read_text(encoding="utf-8")],
    ids=lambda path: path.stem,
)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    words, environment = [sys.executable, str(example)], {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert said.returncode == 0, said.stderr
    assert "the account is worth" in said.stdout
