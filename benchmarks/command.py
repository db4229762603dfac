"""A command measured from outside: time on the wall, processor time, and the memory of it and all its children."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
# Threads of OpenMP that wait must not spin: on a busy machine that costs LightGBM and torch most of their time.
QUIET: Final = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


@dataclass(frozen=True)
class Spent:
    """Seconds on the wall, seconds of all processors, and the highest resident memory in MB, sampled every 50 ms."""

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Round:
    """One run of the backtest command: what it took, and its run.json."""

    spent: Spent
    manifest: dict[str, Any]


def measured(words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Spent:
    """Run a command in `folder`, which is its project; its output goes to `output.txt` there.

    Raises:
        SystemExit: the command failed.
    """
    before, began, peak = _children_cpu(), time.perf_counter(), 0.0
    with (folder / "output.txt").open("wb") as out:
        process = psutil.Popen(
            list(words),
            cwd=folder,
            env={**os.environ, "FORWARDTRADER_PROJECT": str(folder), **(more or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            peak = max(peak, memory_mb(process))
            time.sleep(0.05)
    seconds = time.perf_counter() - began
    if process.returncode:
        tail = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{tail}")
    return Spent(seconds, _children_cpu() - before, peak)


def backtest(folder: Path, words: Sequence[str]) -> Round:
    """Run the backtest command in `folder`.

    Raises:
        SystemExit: the command failed.
    """
    spent = measured([sys.executable, str(ROOT / "run_backtest.py"), *words, "--quiet"], folder, {"PYTHONPATH": str(ROOT)})
    newest = max((folder / "reports/output").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    return Round(spent, json.loads(newest.read_text(encoding="utf-8")))


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and all its children; pages that they share count for each."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return total / 2**20


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
