"""Structured logs: one JSON object a line, secrets redacted."""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.atomic import private_file
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.redaction import redact, redacted

__all__ = ["JsonLines", "event", "log_to", "logger", "redact", "redact_stderr", "redacted", "written_to"]

ROOT: Final = "forwardtrader"


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


class _RedactedText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def redact_stderr() -> None:
    """Strike secrets out of what Python itself writes to stderr: exceptions that nobody caught, and records that no log takes.

    A hook that somebody else installed is left.
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_RedactedText())
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
def log_to(path: Path, level: int = logging.INFO) -> Iterator[None]:
    """Append every event of this project to `path`, which nobody else may read, while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(ConfigError):  # one of another user, who lets this one write
        private_file(path)
    handler = logging.FileHandler(path, encoding="utf-8")
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
