"""Structured logs: one JSON object a line, secrets struck out."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = "forwardtrader"
_SECRET_NAMES: Final = re.compile(r"(SECRET|TOKEN|API_KEY|PASSWORD|PRIVATE)", re.IGNORECASE)
_SECRET_PARTS: Final = re.compile(
    r"(?i)((?:signature|api[_-]?key|secret|token|x-mbx-apikey|listenKey)[\"']?\s*[=:]\s*[\"']?)([^&\s\"',}]+)|(bot)(\d+:[\w-]+)"
)


def logger(room: str) -> logging.Logger:
    """The log of one room; events carry their facts in `extra={"facts": {...}}`."""
    return logging.getLogger(f"{ROOT}.{room}")


def event(log: logging.Logger, name: str, level: int = logging.INFO, **facts: Any) -> None:
    """Write one event with its facts."""
    log.log(level, name, extra={"facts": facts})


def redact(text: str) -> str:
    """Strike out signatures, keys, tokens, and every secret that the environment holds."""
    text = _SECRET_PARTS.sub(lambda m: f"{m[1]}***" if m[1] else f"{m[3]}***", text)
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= 8:
            text = text.replace(value, "***")
    return text


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
        return redact(json.dumps(entry, default=str))


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
