"""Every example runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    words, environment = [sys.executable, str(example)], {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert said.returncode == 0, said.stderr
    assert "the account is worth" in said.stdout
