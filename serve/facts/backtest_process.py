"""The one backtest that the page has started: a process of its own, which goes on when the page is stopped, and is found again.

Whether it runs is told by a lock that it inherits and that the system takes from it when it ends, however it ends. How far it is it writes
into a file itself; what it prints is kept beside that.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from forwardtrader.backtest.progress import DONE
from forwardtrader.core import log
from forwardtrader.core.atomic import private_folder
from forwardtrader.core.clock import Clock
from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.core.errors import ConfigError

_LOOKING_S: Final = 0.3
_SHOWN_BYTES: Final = 4000  # of what it printed


@dataclass(frozen=True, kw_only=True)
class BacktestState:
    """How the newest backtest stands.

    Attributes:
        command: as it could be typed.
        what: is being done; `done` of `total`, which is 0 where it is not known.
        folder: of the finished run; "" where there is none.
        said: the end of what it printed.
    """

    command: str
    started: datetime
    is_running: bool
    what: str = ""
    done: int = 0
    total: int = 0
    folder: str = ""
    said: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it ended without a run."""
        return not self.is_running and not self.folder

    @property
    def last_line(self) -> str:
        """What it said last."""
        return next((line.strip() for line in reversed(self.said.splitlines()) if line.strip()), "")


class BacktestProcess:
    """Starts, watches and stops it. Several servers of one project share it.

    Args:
        folder: where its files are kept.
        config: a settings file that the server was given, which holds for it too.
    """

    def __init__(self, folder: Path, clock: Clock, config: Path | None = None) -> None:
        self._folder = folder
        self._config = () if config is None else (f"--config={config.absolute()}",)
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str]) -> None:
        """Start a backtest with these flags.

        Raises:
            ConfigError: one runs.
        """
        private_folder(self._folder)
        progress = self._folder / "progress.json"
        with (self._folder / "lock").open("a") as lock:
            self._take(lock.fileno())
            progress.unlink(missing_ok=True)
            with (self._folder / "output.txt").open("wb") as output:
                command = child_command("__main__", "backtest", *words, *self._config, f"--progress={progress.absolute()}")
                self._child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=child_environment(),
                    pass_fds=(lock.fileno(),), start_new_session=True,
                )  # fmt: skip
            shown = log.redact(shlex.join(["forwardtrader", "backtest", *words]))
            job = {"pid": self._child.pid, "command": shown, "started": self._clock.now().isoformat()}
            (self._folder / "job.json").write_text(json.dumps(job), encoding="utf-8")

    def _take(self, descriptor: int) -> None:
        """Take the lock; somebody may just have looked whether it is held."""
        until = time.monotonic() + _LOOKING_S
        while not _locked(descriptor):
            if time.monotonic() > until:
                raise ConfigError("a backtest is running already; wait for it, or stop it")
            time.sleep(0.02)

    def state(self) -> BacktestState | None:
        """How the newest one stands; None where none was ever started."""
        if self._child is not None:
            self._child.poll()  # takes note of its end
        job, told = _read(self._folder / "job.json"), _read(self._folder / "progress.json")
        try:
            command, started = str(job["command"]), datetime.fromisoformat(job["started"])
        except (KeyError, TypeError, ValueError):
            return None
        is_done = told.get("stage") == DONE
        return BacktestState(
            command=command, started=started, is_running=self.is_running, what=str(told.get("what", "starting")),
            done=_number(told.get("done")), total=_number(told.get("total")), folder=str(told.get("page", "")) if is_done else "",
            said=self._said(),
        )  # fmt: skip

    @property
    def is_running(self) -> bool:
        """Whether somebody holds the lock."""
        with suppress(FileNotFoundError), (self._folder / "lock").open("rb") as lock:
            return not _locked(lock.fileno())
        return False

    def stop(self) -> None:
        """Interrupt it as Ctrl-C would.

        Raises:
            ConfigError: none runs.
        """
        pid = _number(_read(self._folder / "job.json").get("pid"))
        if not pid or not self.is_running:
            raise ConfigError("no backtest is running")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)

    def marks(self) -> tuple[object, ...]:
        """What changes while it goes on."""
        return (self.is_running, *(_mark(self._folder / name) for name in ("job.json", "progress.json", "output.txt")))

    def _said(self) -> str:
        try:
            with (self._folder / "output.txt").open("rb") as output:
                size = output.seek(0, os.SEEK_END)
                output.seek(max(0, size - _SHOWN_BYTES))
                return output.read().decode("utf-8", "replace")
        except OSError:
            return ""


def _locked(descriptor: int) -> bool:
    """Whether the lock could be taken; it is given back when the last copy of the descriptor is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
