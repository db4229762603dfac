"""A short form of `python -m tests.soak`: one session, ended ten times from outside, in a process that nothing else was done in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


@pytest.mark.slow
def test_a_session_that_is_ended_ten_times_has_equal_books_after_each_start(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.soak", "--seed", "7", "--lives", "10", "--keep", str(tmp_path / "kept.jsonl")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "series 7: 10 ends" in done.stdout
