"""One line of a log: what it says, and whether it was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

LEVELS: Final = ("debug", "info", "warning", "error")
_STYLES: Final = {"debug": "dim", "warning": "yellow", "error": "bold red", "critical": "bold red"}
_HEAD: Final = frozenset({"at", "level", "room", "event", "traceback"})


@dataclass(frozen=True)
class LogLine:
    """One event of a log. `at` in UTC; `facts` without what the other fields say."""

    at: datetime
    level: str
    room: str
    event: str
    facts: Mapping[str, Any]
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which lines are asked for: of at least this level, of these events (all, where none is named), and not older than this."""

    level: str = "debug"
    events: frozenset[str] = frozenset()
    since: datetime | None = None

    def takes(self, line: LogLine) -> bool:
        rank = LEVELS.index(line.level) if line.level in LEVELS else len(LEVELS)  # one that is not known is shown
        is_young = self.since is None or line.at >= self.since
        return is_young and rank >= LEVELS.index(self.level) and (not self.events or line.event in self.events)


def parsed(text: bytes) -> LogLine | None:
    """What a line says; None where it is no line of a log, as one that a power cut tore."""
    try:
        found = json.loads(text)
        at = datetime.fromisoformat(found["at"])
        facts = {name: value for name, value in found.items() if name not in _HEAD}
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        return LogLine(at, str(found["level"]), str(found["room"]), str(found["event"]), facts, str(found.get("traceback", "")))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def row(line: LogLine) -> Text:
    """The line for a person: time, level, where, event and facts in columns. Nothing in it can steer a terminal."""
    told = " ".join(f"{name}={_value(value)}" for name, value in line.facts.items())
    style = _STYLES.get(line.level, "")
    text = Text.assemble(
        (f"{line.at:%Y-%m-%d %H:%M:%S}.{line.at.microsecond // 1000:03d}", "dim"),
        "  ", (f"{line.level:8}", style), f"{line.room:11}", (f"{line.event:26}", style or "bold"), " ", told,
    )  # fmt: skip
    text = Text("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text.plain.rstrip()), spans=text.spans)
    for below in line.traceback.splitlines():
        text.append("\n    " + "".join(c if c.isprintable() else "?" for c in below), "dim")
    return text


def _value(value: object) -> str:
    if isinstance(value, str):
        return value if value and " " not in value and "=" not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
