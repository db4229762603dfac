"""The guardian as a child of its session: started with it, told what it needs, and let go at a good end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.live.supervision.account_access import AccountAccess
from forwardtrader.live.supervision.guardian import Task


class GuardianProcess:
    """A running guardian. Keys reach it through its standard input only, signals through a socket that Python's handler writes to."""

    def __init__(self, task: Task) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        words = child_command("live.supervision.guardian", str(theirs.fileno()), str(Path(task.folder) / "log.jsonl"))
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=child_environment(),
                pass_fds=(theirs.fileno(),), start_new_session=True,  # Ctrl-C is for the session
            )  # fmt: skip
        except BaseException:
            self._ours.close()
            raise
        finally:
            theirs.close()
        self._before: int | None = None
        self._tell(asdict(task))

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear_signals(self) -> None:
        """From now on it hears of every signal, also of one that Python never comes to handle. In the main thread only."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.set_wakeup_fd(self._ours.fileno(), warn_on_full_buffer=False)

    def hand_over(self, access: AccountAccess) -> None:
        """Give it the account, for the case that the session cannot use it any more."""
        self._tell({**asdict(access), "keys": dict(access.keys)})

    def let_go(self) -> None:
        """The session ends in good order."""
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
            self._before = None
        self._tell({"bye": True})
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.kill()  # it has nothing left to do, and may be busy with getting ready
        self._process.wait()
        self._ours.close()

    def _tell(self, line: Mapping[str, object]) -> None:
        with suppress(OSError):  # it has died: the session goes on without it
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()


def alert_variables(known: Mapping[str, str]) -> dict[str, str]:
    """The variables of the alert channel."""
    return {name: known[name] for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", "TELEGRAM_API") if known.get(name)}


def guardian_of(folder: Path, run: str, *, name: str, cancels: bool, alerts: Mapping[str, str]) -> GuardianProcess:
    """Start the guardian of this process."""
    where = str(folder.resolve())
    return GuardianProcess(Task(folder=where, pid=os.getpid(), run=run, name=name, cancels=cancels, alerts=alert_variables(alerts)))
