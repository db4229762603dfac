"""A Dask cluster of real processes on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests import ROOT

START_S = 120


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        self.workers = [self.add_worker() for _ in range(workers)]

    @property
    def address(self) -> str:
        until = time.monotonic() + START_S
        while not self.file.exists():
            assert time.monotonic() < until, "the scheduler did not start; see its log"
            assert self.scheduler.poll() is None, "the scheduler ended; see its log"
            time.sleep(0.05)
        return str(json.loads(self.file.read_text())["address"])

    def ready(self) -> str:
        """The address, once every worker has reported to the scheduler."""
        from distributed import Client

        with Client(self.address, timeout=START_S, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=START_S)
        return self.address

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start("dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(timeout=30)

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{what}", "--scheduler-file", str(self.file), *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = (self.folder / f"{what}-{time.monotonic_ns()}.log").open("wb")
        with log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
