"""One process per session and account; which sessions run, and which were killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from forwardtrader.core.atomic import private_file
from forwardtrader.core.errors import AccountLocked, ConfigError, StorageFull

_LOCK: Final = "session.lock"
_STARTING_S: Final = 0.5  # another process may just have looked whether the lock is held
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
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=_STARTING_S, poll_interval=0.02)
    except Timeout as error:
        number = holder(path)
        who = "another process" if number is None else f"another process (number {number})"
        raise AccountLocked(f"{what} is in use by {who}; stop it first, or choose another --session") from error
    try:
        private_file(path.with_suffix(".pid"))
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
    """Whether a process holds the session. Only looked at: neither the lock nor the number of its holder changes."""
    path = lock_of(folder)
    if not path.is_file():
        return False
    try:
        FileLock(path).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    except PermissionError as error:
        raise ConfigError(f"{path} belongs to another user; log in as the one who runs the session") from error
    return False


def running(sessions: Path) -> list[str]:
    """The names of the sessions below a folder that run now."""
    return [name for name in existing(sessions) if is_running(sessions / name)]


def existing(sessions: Path) -> list[str]:
    """The names of all sessions below a folder."""
    return sorted(path.parent.name for path in sessions.glob(f"*/{_LOCK}"))


def kill(folder: Path) -> None:
    """Turn the kill switch: no order leaves the session in `folder` any more, now or after a start. A file, so any hand may make it."""
    try:
        (folder / KILLED).touch(0o600)
    except OSError as error:
        number = holder(lock_of(folder))
        raise StorageFull(f"{folder / KILLED} cannot be made ({error.strerror}): end the process (kill -9 {number})") from error


def lift_kill(folder: Path) -> bool:
    """Turn the kill switch back; returns whether it was turned."""
    was_killed = is_killed(folder)
    (folder / KILLED).unlink(missing_ok=True)
    return was_killed


def is_killed(folder: Path) -> bool:
    """Whether the session was killed; it stays so over restarts until a resume."""
    return (folder / KILLED).exists()


def the_one(sessions: Path, purpose: str, *, at_rest: bool = False, killed: bool = False) -> str:
    """The session that a command means which names none: the only one that runs.

    Args:
        purpose: of the command, for the message.
        at_rest: whether the only one that exists is meant too, where none runs.
        killed: whether the only one that was killed is meant too, where none runs.

    Raises:
        ConfigError: none runs, or several do; the message lists them.
    """
    found = running(sessions)
    if not found and killed:
        found = [name for name in existing(sessions) if is_killed(sessions / name)]
    if not found and at_rest:
        found = existing(sessions)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{purpose}: several sessions are there ({', '.join(found)}); name one with --session")
    there = ", ".join(existing(sessions)) or "none at all"
    raise ConfigError(f"{purpose}: no session runs under {sessions} (there are: {there}); name one with --session")
