"""Practice exchanges for tests: processes as `python -m sandbox` makes them, but forked from one that has all imported already."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

from forwardtrader.core.errors import TradingError
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.process import PATIENCE_S, SandboxHandle


class _Forked:
    """A child of multiprocessing behind the few names of `subprocess.Popen` that a handle needs."""

    stdin = stdout = None

    def __init__(self, child: Any) -> None:
        self._child = child
        self.pid: int = child.pid
        self.terminate, self.kill = child.terminate, child.kill

    def poll(self) -> int | None:
        code: int | None = self._child.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int | None:
        self._child.join(timeout)
        if self._child.exitcode is None:
            raise subprocess.TimeoutExpired("sandbox", timeout or 0.0)
        return self.poll()


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["__main__", "forwardtrader.sandbox.__main__", "forwardtrader.sandbox.server", "uvloop", "tests.live.forked_sandbox"]
    )
    return context


def _serve(words: list[str], says: Connection) -> None:
    from forwardtrader.sandbox.__main__ import main

    sys.stdout = sys.stderr = open(says.fileno(), "w", closefd=False)  # noqa: SIM115 - as long as the process
    sys.exit(main(words))


def fork_sandbox(**settings: Any) -> SandboxHandle:
    """As `sandbox.process.start_sandbox`, in a fraction of its time."""
    chosen = SandboxSettings.model_validate({"owner": os.getpid(), **settings}).model_dump_json(exclude_unset=True)
    hears, says = multiprocessing.Pipe(duplex=False)
    child = _server().Process(target=_serve, args=(["--settings", chosen], says), daemon=True)
    child.start()
    says.close()
    with hears, open(hears.fileno(), encoding="utf-8", closefd=False) as lines:
        line = lines.readline() if hears.poll(PATIENCE_S) else ""
    if not line.startswith("{"):
        child.kill()
        raise TradingError(line.strip() or "the practice exchange did not start")
    return SandboxHandle(_Forked(child), json.loads(line))  # type: ignore[arg-type]
