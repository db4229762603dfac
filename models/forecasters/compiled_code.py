"""Cache of compiled code, so that one process on a machine compiles and the others read."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

# Long enough for any compilation; a process that waited so long for another one compiles for itself.
_LOCK_S: Final = 120.0
_kept_in: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Have compiled code of forecasters that are not told about folders kept in one, for the rest of this process."""
    global _kept_in
    _kept_in = folder


def kept_in() -> Path | None:
    """That folder."""
    return _kept_in


def folder_in_use(wanted: Path) -> Path:
    """The folder that the user names to all of jax in its own variable, if there is one, else the wanted one."""
    return Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or wanted)


def machine() -> str:
    """Identifies this machine among others that share a task."""
    return socket.gethostname()


def folder_here(wanted: Path | None, made_on: str) -> Path | None:
    """The folder that a task brought along where this is the machine it comes from, else one of this user's cache.

    None where nothing is wanted or can be written.

    Code of another machine is never used: processors differ.
    """
    if wanted is None:
        return None
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forwardtrader" / "compiled"
    for folder in ([wanted] if made_on == machine() else []) + [own]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


@contextmanager
def one_at_a_time(folder: Path | None) -> Iterator[None]:
    """Within, this process alone compiles into the folder; who waited finds the code there."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "compiling.lock", timeout=_LOCK_S)
    try:
        lock.acquire()
    except Timeout:
        yield
        return
    try:
        yield
    finally:
        lock.release()
