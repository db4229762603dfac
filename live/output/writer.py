"""The client of the writer process, a child that writes a session's files: long tables and the page cost the session no memory."""

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

from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.priority import give_way

_FORKS: Final = sys.platform == "linux"  # elsewhere a system's own libraries may not outlive a fork, or there is none


class NotWritten(Exception):
    """A write job failed; the message is the reason."""


class Writer:
    """Runs write jobs in `live.output.writer_process`, which is started when it is first needed, and restarted after it has ended.

    The process inherits no descriptor but its pipes, has a process group of its own, runs at low priority, and ends with this one, however
    that ends.

    Args:
        forks: whether the process forks a child for each job; else it is restarted after each.
    """

    def __init__(self, *, forks: bool = _FORKS) -> None:
        self._forks = forks
        self._turn = threading.Lock()
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    def write(self, job: WriteJob) -> None:
        """Run a job, and wait for it.

        Raises:
            NotWritten: the job failed, or the process ended; it may be tried again, unless the writer was closed.
        """
        with self._turn:
            if self._is_closed:
                raise NotWritten("the writer was closed")
            try:
                answer = self._ask(job.as_line())
            except OSError as error:
                answer = str(error).encode()
            if not answer.endswith(b"\n"):
                raise NotWritten(self._end() or answer.decode())
            if not self._forks:
                self._end()
        if trouble := json.loads(answer):
            raise NotWritten(trouble)

    def stop(self) -> None:
        """Kill the process and the job that it runs; may be called from any thread."""
        process = self._process
        if process is not None:
            _kill(process)

    def close(self) -> None:
        """End the process and wait for it; no other one is started."""
        self.stop()
        with self._turn:
            self._is_closed = True
            self._end()

    @property
    def pid(self) -> int | None:
        """The process id; None before it is needed."""
        return None if self._process is None else self._process.pid

    def _ask(self, line: str) -> bytes:
        process = self._process or self._begin()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline()

    def _begin(self) -> subprocess.Popen[bytes]:
        command = child_command("live.output.writer_process", *([] if self._forks else ["--here"]))
        # Threads of linear algebra, of which nothing here has need, would not live on in a fork.
        environment = {**child_environment(), "OPENBLAS_NUM_THREADS": "1"}
        # A pipe that nobody reads would block it once it is full, so its stderr goes into a file.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, env=environment, start_new_session=True
        )
        give_way(self._process.pid)
        return self._process

    def _end(self) -> str:
        """Kill the process and its child; returns how it ended."""
        process, stderr, self._process, self._stderr = self._process, self._stderr, None, None
        if process is None or stderr is None:  # it could not be started
            _close(stderr)
            return ""
        _kill(process)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was not sent is not needed
                _close(pipe)
        with stderr:
            stderr.seek(0)
            lines = stderr.read().decode(errors="replace").strip().splitlines()
        return f"the process that writes ended with {process.returncode}; {lines[-1] if lines else 'nothing is on its stderr'}"


def _close(pipe: IO[Any] | None) -> None:
    if pipe is not None:
        pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process with its child; its id is not reused before it was waited for."""
    if process.returncode is None:
        with contextlib.suppress(OSError):
            if _FORKS:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


@functools.cache
def shared_writer() -> Writer:
    """The writer of this process, for all sessions that it runs."""
    writer = Writer()
    atexit.register(writer.close)
    return writer
