"""The lines of one log, from the oldest file that was kept to the one that is written, also while it is written and moved aside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from forwardtrader.core import log


def lines(path: Path, *, changed_since: float = 0.0, wait: Callable[[], None] | None = None) -> Iterator[bytes]:
    """Every line of a log, oldest first, without its end.

    Args:
        changed_since: full files that were last written before are left out; seconds since 1970.
        wait: called when there is nothing more to read now, after which the log is followed; None to end there.

    Raises:
        FileNotFoundError: there is no such log.
    """
    with ExitStack() as stack:
        *full, newest = _opened(path, stack)
        for file in full:
            if os.fstat(file.fileno()).st_mtime >= changed_since:
                yield from (line.rstrip(b"\n") for line in file)
        yield from (line.rstrip(b"\n") for line in newest) if wait is None else _followed(newest, path, wait)


def _opened(path: Path, stack: ExitStack) -> list[BinaryIO]:
    """All files, the newest last. It is opened first, so one that is moved aside meanwhile is met twice, and taken once."""
    found: list[BinaryIO] = []
    for place in (path, *reversed(log.rotated(path))):
        with suppress(FileNotFoundError):
            file = stack.enter_context(place.open("rb"))
            if not any(os.path.sameopenfile(file.fileno(), other.fileno()) for other in found):
                found.insert(0, file)
    if not found:
        raise FileNotFoundError(path)
    return found


def _followed(file: BinaryIO, path: Path, wait: Callable[[], None]) -> Iterator[bytes]:
    rest = b""
    with ExitStack() as stack:
        while True:
            following = _following(file, path)  # looked for first: what was written until it was moved is read below
            for line in file:
                rest += line
                if rest.endswith(b"\n"):
                    yield rest.rstrip(b"\n")
                    rest = b""
            if following is None:
                wait()
                continue
            if rest:  # its writer was killed in the middle of it
                yield rest
                rest = b""
            with suppress(FileNotFoundError):  # moved once more; it is looked for again
                file = stack.enter_context(following.open("rb"))


def _following(file: BinaryIO, path: Path) -> Path | None:
    """The file that was begun after this one; None while this one is the newest."""
    ours, places = os.fstat(file.fileno()), [*log.rotated(path), path]
    for place, after in zip(places, [*places[1:], None], strict=True):
        with suppress(FileNotFoundError):
            if os.path.samestat(place.stat(), ours):
                return after if after is None or after.is_file() else None
    return path if path.is_file() else None
