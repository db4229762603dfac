"""A stamped record of what came in and what went out, for tests and measurement."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

KEPT: Final = 50_000
_SECRETS: Final = frozenset({"signature", "apiKey", "sign", "api_key"})


class RequestLog:
    """Keeps the newest entries. `at_ns` is the machine's clock in nanoseconds, comparable within one machine."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, kind: str, name: str, facts: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Record one event; secrets are left out. The entry is returned, so that its outcome can be added."""
        self._count += 1
        shown = {key: value for key, value in (facts or {}).items() if key not in _SECRETS}
        entry = {"n": self._count, "at_ns": time.time_ns(), "kind": kind, "name": name, "params": shown, **more}
        self._entries.append(entry)
        return entry

    def add_record(self, record: logging.LogRecord) -> None:
        """Keep a warning or an error of the program itself, where whoever asks for the log will see it."""
        text = record.exc_info[1] if record.exc_info else None
        self.add("error", record.getMessage(), {"error": repr(text)} if text else None, source=record.name)

    def since(self, number: int) -> list[dict[str, Any]]:
        """The entries after entry `number`."""
        return [entry for entry in self._entries if entry["n"] > number]


class LogEntries(logging.Handler):
    """Puts the program's own warnings and errors into the record of requests."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.add_record(record)
