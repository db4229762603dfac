"""One process per session and account, and the control commands that are sent to the running one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from forwardtrader.core.errors import AccountLocked, ConfigError

_LOCK: Final = "session.lock"
_INBOX: Final = "commands"
KILLED: Final = "killed"


class ControlCommand(StrEnum):
    """The control commands of a running session."""

    PAUSE = "pause"
    RESUME = "resume"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    KILL = "kill"
    STOP = "stop"


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system releases it when the process dies, however it dies.

    Raises:
        AccountLocked: another process holds it; the message names that process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        number = holder(path)
        who = "another process" if number is None else f"another process (number {number})"
        raise AccountLocked(f"{what} is in use by {who}; stop it first, or choose another --session") from error
    try:
        path.with_suffix(".pid").write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        lock.release()


def holder(path: Path) -> int | None:
    """The process id of the newest holder of a lock file; None where nobody ever held it."""
    try:
        return int(path.with_suffix(".pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def lock_of(folder: Path) -> Path:
    """The lock file of the session in `folder`."""
    return folder / _LOCK


def is_running(folder: Path) -> bool:
    """Whether a process holds the session."""
    try:
        with held(lock_of(folder), "the session"):
            return False
    except AccountLocked:
        return True


def send(folder: Path, command: ControlCommand) -> None:
    """Send a control command to the session in `folder`.

    Raises:
        ConfigError: there is no such session, or it does not run. A kill is kept for the next start all the same.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no session {folder.name!r} under {folder.parent}; see what is there, or start it")
    if command is ControlCommand.KILL:
        (folder / KILLED).touch()
    running = is_running(folder)
    if command is ControlCommand.RESUME and is_killed(folder):
        (folder / KILLED).unlink()
        return
    if not running and command is not ControlCommand.KILL:
        raise ConfigError(f"session {folder.name!r} is not running; start it with run_live.py --session {folder.name}")
    inbox = folder / _INBOX
    inbox.mkdir(exist_ok=True)
    number = max((int(p.name.split("-")[0]) for p in inbox.iterdir() if p.name[0].isdigit()), default=0) + 1
    if running:
        temporary = inbox / f".{number}"
        temporary.touch()
        temporary.rename(inbox / f"{number:06d}-{command}")


def receive(folder: Path) -> list[ControlCommand]:
    """The commands sent since the last call, oldest first; each is given once."""
    inbox = folder / _INBOX
    if not inbox.is_dir():
        return []
    commands = []
    for path in sorted(p for p in inbox.iterdir() if p.name[0].isdigit()):
        commands.append(ControlCommand(path.name.partition("-")[2]))
        path.unlink()
    return commands


def is_killed(folder: Path) -> bool:
    """Whether the session was killed; it stays so over restarts until a resume."""
    return (folder / KILLED).exists()
