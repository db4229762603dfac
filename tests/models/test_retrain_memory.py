"""Hundreds of retrains in one process, counted in a process that does nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

COUNTED = """
import sys
from pathlib import Path
from benchmarks.scaling.retrains import growth, resident_mb
print(growth(resident_mb(500, Path(sys.argv[1]))))
"""


@pytest.mark.slow
def test_five_hundred_retrains_leave_the_memory_of_their_process_as_it_was_after_twenty(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=1800,
    )  # fmt: skip
    assert float(done.stdout.split()[-1]) < 0.05
