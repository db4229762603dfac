"""A Dask scheduler and its workers on this machine, each a process of its own with one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

import psutil

from benchmarks.command import ROOT
from forwardtrader.models.parallel.dask_cluster import DaskCluster

START_S: Final = 120.0


class LoopbackCluster:
    """Use it in a `with` block; everything ends with it."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.count = count
        self._processes: list[psutil.Popen] = []

    def __enter__(self) -> Self:
        self._start("dask_scheduler", "--port", "0", "--no-show")
        for _ in range(self.count):
            self._start("dask_worker", "--no-nanny", "--nthreads", "1")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def workers(self) -> DaskCluster:
        """Where tasks run; every worker is there.

        Raises:
            TimeoutError: it did not start in two minutes.
        """
        address, until = self._address(), time.monotonic() + START_S
        cluster = DaskCluster(address, patience_s=START_S)
        while len({pid for _, pid in cluster.run(process_of, None, range(4 * self.count))}) < self.count:
            if time.monotonic() > until:
                raise TimeoutError(f"not all workers of {address} came")
        return cluster

    def cpu(self) -> float:
        """Processor seconds of all workers so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes[1:])

    def _address(self) -> str:
        file, until = self.folder / "scheduler.json", time.monotonic() + START_S
        while time.monotonic() < until:
            if file.exists() and (text := file.read_text(encoding="utf-8")).endswith("}"):
                return str(json.loads(text)["address"])
            time.sleep(0.05)
        raise TimeoutError("the scheduler did not start")

    def _start(self, what: str, *words: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{what}", "--scheduler-file", "scheduler.json", "--host", "127.0.0.1", *words]
        with (self.folder / "output.txt").open("ab") as out:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            process = psutil.Popen([*command, "--no-dashboard"], cwd=self.folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
        self._processes.append(process)


def process_of(_: Any, item: int) -> int:
    """Whose process does a task; slow enough that one worker does not take them all."""
    time.sleep(0.05)
    return os.getpid()
