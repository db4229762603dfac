"""Structured logs: one JSON object a line, secrets redacted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.redaction import redact, redacted

__all__ = ["JsonLines", "event", "log_to", "logger", "redact", "redacted"]

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
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix(f"{ROOT}."),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(redacted(entry), default=lambda value: redact(str(value)))


@contextmanager
def log_to(path: Path, level: int = logging.INFO) -> Iterator[None]:
    """Append every event of this project to `path` while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
