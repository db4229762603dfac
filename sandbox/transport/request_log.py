"""The request log: time-stamped requests and events, for tests and measurement."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

KEPT: Final = 50_000
_SECRETS: Final = frozenset({"signature", "apiKey", "sign", "api_key"})


class RequestLog:
    """Keeps the newest entries. `at_ns` is the machine's clock in nanoseconds, comparable within one machine."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, kind: str, name: str, facts: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Add one entry without its secrets; it is returned so that the outcome can be added."""
        self._count += 1
        shown = {key: value for key, value in (facts or {}).items() if key not in _SECRETS}
        entry = {"n": self._count, "at_ns": self._now_ns(), "kind": kind, "name": name, "params": shown, **more}
        self._entries.append(entry)
        return entry

    def add_record(self, record: logging.LogRecord) -> None:
        """Add a warning or an error that the program itself has logged."""
        text = record.exc_info[1] if record.exc_info else None
        self.add("error", record.getMessage(), {"error": repr(text)} if text else None, source=record.name)

    def since(self, number: int) -> list[dict[str, Any]]:
        """The entries after entry `number`."""
        return [entry for entry in self._entries if entry["n"] > number]


class LogEntries(logging.Handler):
    """Logging handler that copies the program's own warnings and errors into the request log."""

    def __init__(self, log: RequestLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.add_record(record)
