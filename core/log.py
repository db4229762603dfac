"""Structured logs: one JSON object a line, secrets redacted, in files of a bounded size."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.atomic import private_file
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.redaction import redact, redact_values, redacted

__all__ = ["JsonLines", "event", "log_to", "logger", "redact", "redact_stderr", "redact_values", "redacted", "rotated", "written_to"]

ROOT: Final = "forwardtrader"
MOST_BYTES: Final = 20_000_000  # of one file; the line that passes it is its last
_AS_SHIPPED: Final = warnings.formatwarning
KEPT: Final = 5  # full files beside the one that is written


def logger(room: str) -> logging.Logger:
    """The logger of one package; events carry their facts in `extra={"facts": {...}}`."""
    return logging.getLogger(f"{ROOT}.{room}")


def event(log: logging.Logger, name: str, level: int = logging.INFO, **facts: Any) -> None:
    """Write one event with its facts."""
    log.log(level, name, extra={"facts": facts})


class JsonLines(logging.Formatter):
    """One record as one JSON object: at, level, room, event, facts, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        # Struck out of plain values: once they are JSON, an escape inside of a secret would hide it.
        facts = redacted({"event": record.getMessage(), **getattr(record, "facts", {})})
        if record.exc_info:
            facts["traceback"] = redact(self.formatException(record.exc_info))
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix(f"{ROOT}."),
            **facts,
        }
        return json.dumps(entry)


def rotated(path: Path) -> list[Path]:
    """Where the full files of a log lie, oldest first, whether or not they are there."""
    return [path.with_name(f"{path.name}.{number}") for number in range(KEPT, 0, -1)]


class _BoundedFile(WatchedFileHandler):
    """Appends to a file that other processes append to as well. Whoever finds it full moves it aside, between two lines; the others notice
    that and go on in the new one. Nobody waits for anybody, and a log that cannot be written or moved disturbs nothing.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._has_failed = False
        super().__init__(path, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._move_if_full(Path(self.baseFilename))
            super().emit(record)
        except OSError:  # its folder is gone, or closed to this user
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a method of logging's
        """Report a log that cannot be written once, in one line; later records are lost without another."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            sys.stderr.write(f"the log {self.baseFilename} cannot be written ({error.strerror}); what follows is not in it\n")

    def _open(self) -> TextIOWrapper:
        with suppress(ConfigError):  # one of another user, who lets this one write
            private_file(Path(self.baseFilename))
        return super()._open()

    def _move_if_full(self, path: Path) -> None:
        if self.stream is None or os.fstat(self.stream.fileno()).st_size < self._most_bytes:
            return
        from filelock import FileLock, Timeout

        with suppress(OSError, Timeout), FileLock(path.with_name(f".{path.name}.lock"), timeout=0, mode=0o600):
            if path.stat().st_size >= self._most_bytes:  # else another process was faster
                *older, newest = rotated(path)
                for full, place in zip([*older[1:], newest], older, strict=True):
                    with suppress(FileNotFoundError):
                        full.replace(place)
                path.replace(newest)


class _RedactedText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def redact_stderr() -> None:
    """Strike secrets out of what Python itself writes to stderr: exceptions that nobody caught, warnings, and records that no log takes.

    A hook that somebody else installed is left.
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_RedactedText())
    if warnings.formatwarning is _AS_SHIPPED:
        warnings.formatwarning = lambda *given, **more: redact(_AS_SHIPPED(*given, **more))
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = lambda kind, error, trace: _print_exception(error)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda given: _print_exception(given.exc_value)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda given: _print_exception(given.exc_value)


def _print_exception(error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit):
        sys.stderr.write(redact("".join(traceback.format_exception(error))))


@contextmanager
def log_to(path: Path, level: int = logging.INFO, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Append every event of this project to `path`, which nobody else may read, while the block runs.

    A file of `most_bytes` becomes `path.1`, the one before it `path.2`, and so on; the newest five are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _BoundedFile(path, most_bytes)
    handler.setFormatter(JsonLines())
    root = logging.getLogger(ROOT)
    before, propagate = root.level, root.propagate
    root.setLevel(level)
    root.propagate = False
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(before)
        root.propagate = propagate


def written_to() -> Path | None:
    """The file that events go to now, relative to the working directory where it lies there; None where there is none."""
    files = [handler.baseFilename for handler in logging.getLogger(ROOT).handlers if isinstance(handler, logging.FileHandler)]
    if not files:
        return None
    newest = Path(files[-1])
    return newest.relative_to(Path.cwd()) if newest.is_relative_to(Path.cwd()) else newest
