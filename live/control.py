"""One process per account, and words from a second terminal to the running one."""

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
_BOX: Final = "commands"
KILLED: Final = "killed"


class Verb(StrEnum):
    """What a running session can be told."""

    PAUSE = "pause"
    RESUME = "resume"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    KILL = "kill"
    STOP = "stop"


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system lets go of it when the process dies, however it dies.

    Raises:
        AccountLocked: another process holds it; the message says which.
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
    """The number of the process that holds a lock file, or held it last; None where nobody ever did."""
    try:
        return int(path.with_suffix(".pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def lock_of(folder: Path) -> Path:
    return folder / _LOCK


def is_running(folder: Path) -> bool:
    """Whether a process holds the session."""
    try:
        with held(lock_of(folder), "the session"):
            return False
    except AccountLocked:
        return True


def say(folder: Path, verb: Verb) -> None:
    """Leave a word for the session in `folder`.

    Raises:
        ConfigError: there is no such session, or it does not run. A kill is kept for the next start all the same.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no session {folder.name!r} under {folder.parent}; see what is there, or start it")
    if verb is Verb.KILL:
        (folder / KILLED).touch()
    running = is_running(folder)
    if verb is Verb.RESUME and is_killed(folder):
        (folder / KILLED).unlink()
        return
    if not running and verb is not Verb.KILL:
        raise ConfigError(f"session {folder.name!r} is not running; start it with run_live.py --session {folder.name}")
    box = folder / _BOX
    box.mkdir(exist_ok=True)
    number = max((int(p.name.split("-")[0]) for p in box.iterdir() if p.name[0].isdigit()), default=0) + 1
    if running:
        temporary = box / f".{number}"
        temporary.touch()
        temporary.rename(box / f"{number:06d}-{verb}")


def heard(folder: Path) -> list[Verb]:
    """Words left since the last call, in order; each is given once."""
    box = folder / _BOX
    if not box.is_dir():
        return []
    verbs = []
    for path in sorted(p for p in box.iterdir() if p.name[0].isdigit()):
        verbs.append(Verb(path.name.partition("-")[2]))
        path.unlink()
    return verbs


def is_killed(folder: Path) -> bool:
    """Whether the kill switch is thrown; it stays so over restarts until a resume."""
    return (folder / KILLED).exists()
