"""The process beside a session that writes its files, so that neither what long tables take nor the drawing of a page is in its way."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any, Final

from forwardtrader.core.installed import ROOT
from forwardtrader.live.output.job import Writing
from forwardtrader.live.priority import give_way

_FORKS: Final = sys.platform == "linux"  # elsewhere a system's own libraries may not outlive a fork, or there is none


class NotWritten(Exception):
    """A writing was not done; the message says why."""


class Writer:
    """Has writings done by `live.output.writer_process`, which is started when it is first needed, and again after it has ended.

    It holds no descriptor of this process but the pipe between them, is in no terminal's group, gives way to every other process, and ends
    with this one, however that ends.

    Args:
        forks: whether the process makes a child for each writing; else it is itself replaced after each.
    """

    def __init__(self, *, forks: bool = _FORKS) -> None:
        self._forks = forks
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def write(self, writing: Writing) -> None:
        """Have it done, and wait for it.

        Raises:
            NotWritten: something went wrong, or the process ended; it may be tried again.
        """
        with self._turn:
            try:
                answer = self._ask(writing.as_line())
            except OSError as error:
                answer = str(error).encode()
            if not answer.endswith(b"\n"):
                raise NotWritten(self._end() or answer.decode())
            if not self._forks:
                self._end()
        if trouble := json.loads(answer):
            raise NotWritten(trouble)

    def stop(self) -> None:
        """End the process at once, and the writing that it is at; may be called from any thread."""
        process = self._process
        if process is not None:
            _kill(process)

    def close(self) -> None:
        """End the process and wait for it."""
        self.stop()
        with self._turn:
            self._end()

    @property
    def pid(self) -> int | None:
        """The number of the process; None before it is needed."""
        return None if self._process is None else self._process.pid

    def _ask(self, line: str) -> bytes:
        process = self._process = self._process or self._begin()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline()

    def _begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "forwardtrader.live.output.writer_process", *([] if self._forks else ["--here"])]
        # Threads of linear algebra, of which nothing here has need, would not live on in a fork.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        # A pipe that nobody reads would stop it once it is full, so what it says goes into a file.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, cwd=ROOT, env=environment, start_new_session=True
        )
        give_way(process.pid)
        return process

    def _end(self) -> str:
        """See the process and its child off; returns how it came to its end."""
        process, said, self._process, self._said = self._process, self._said, None, None
        if process is None or said is None:
            return ""
        _kill(process)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was not sent is not missed
                _close(pipe)
        with said:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
        return f"the process that writes ended with {process.returncode}; {lines[-1] if lines else 'it said nothing'}"


def _close(pipe: IO[Any] | None) -> None:
    if pipe is not None:
        pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With its child; its number is its own until somebody has waited for it."""
    if process.returncode is None:
        with contextlib.suppress(OSError):
            if _FORKS:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


@functools.cache
def shared_writer() -> Writer:
    """The one of this process, for all sessions that it runs."""
    writer = Writer()
    atexit.register(writer.close)
    return writer
