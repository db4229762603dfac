"""Files that are whole or absent, whatever stops the process, and that others may read only where that is meant."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from forwardtrader.core.errors import ConfigError, StorageFull


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, force it to disk, then rename it over `path`.

    Raises:
        StorageFull: the disk has no room; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        # Made here, so that it has the rights that the user's umask gives to any other file, and in a private folder those of a secret.
        rights = 0o666 if stat.S_IMODE(path.parent.stat().st_mode) & 0o077 else 0o600
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, rights))
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(f"no space left to write {path}; free some and run the command again") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda target: _write_bytes(target, text.encode()))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    write_atomically(path, lambda target: _write_bytes(target, data))


def refuse_unwritable(folder: Path) -> None:
    """Check that files can be written into a folder, which need not be there yet.

    Raises:
        ConfigError: a file stands in its place, or in that of a folder above it, or this user may write nothing there.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"{folder}: {there} is a file, and no folder; name another one")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(f"{folder}: nothing can be written into {there} ({error.strerror}); name another folder") from error


def sweep(path: Path) -> None:
    """Remove what writers that were killed left beside `path`; only for whoever knows that nobody else writes it now."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


def private_file(path: Path) -> None:
    """Make the file, or leave the one that is there, for its owner only.

    Raises:
        ConfigError: it belongs to another user.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    _restrict(path, path.stat())


def private_folder(path: Path) -> None:
    """Make the folder, or leave the one that is there, for its owner only, with all that lies in it.

    Raises:
        ConfigError: something in it belongs to another user, or is a link that leads out of it.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    _restrict(path, path.stat())
    root = path.resolve()
    for inside in _everything_below(path):
        if inside.is_symlink():
            if not inside.resolve().is_relative_to(root):
                raise ConfigError(f"{inside} is a link that leads out of {path}; remove it, or put what it leads to in its place")
            continue
        with suppress(FileNotFoundError):  # a process that ends takes its own files with it
            _restrict(inside, inside.stat())


def _everything_below(path: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):  # follows no link
        yield from (Path(folder, name) for name in (*folders, *files))


def _restrict(path: Path, found: os.stat_result) -> None:
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to another user (number {found.st_uid}); work as that user, or choose another folder")
    wanted = stat.S_IMODE(found.st_mode) & 0o700
    if wanted != stat.S_IMODE(found.st_mode):
        with suppress(OSError):  # a medium without rights has none to take away
            path.chmod(wanted)


def _write_bytes(target: Path, data: bytes) -> None:
    target.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
