"""`session.json`: the status of a running session, rewritten at every bar.

As with `run.json`, mappings may carry more keys than are named here and numbers that are not known are null. Times are UTC.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from forwardtrader.core import atomic, log
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind
from forwardtrader.reports.manifest import LimitsSection
from forwardtrader.reports.sections.learned import LearnedSection
from forwardtrader.reports.sections.section import Moment, Number, Section

SCHEMA: Final = 1
FILE_NAME: Final = "session.json"


class SessionState(StrEnum):
    """State of a session: the first three trade or could, the others do not."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    STOPPED = "stopped"


class Source(Section):
    """One source of bars: `state` (ok, late, down), the age of its newest bar, and its last message."""

    name: str
    state: str
    age_s: Number = None
    detail: str = ""


class Process(Section):
    """Resources that the session uses."""

    pid: int | None = None
    memory_mb: Number = None
    cpu_percent: Number = None
    uptime_s: Number = None


class PositionRow(Section):
    """What is held of one symbol: base units (negative is short), worth and unrealised profit in quote currency."""

    symbol: str
    size: Number = None
    price: Number = None
    value: Number = None
    profit: Number = None


class OpenOrderRow(Section):
    """An order that is not settled; `state` is one of (intended, accepted, partial, unknown)."""

    client_id: str
    symbol: str
    side: str
    size: Number = None
    price: Number = None
    state: str = ""
    at: Moment | None = None


class Alert(Section):
    """An alert, `level` being info, warning or error."""

    at: Moment
    level: str = "info"
    text: str


class ModelDecision(Section):
    """What was decided about a model (promoted, kept, rolled back), by whom and why; `model_id` is in force from the bar `since` on.

    `other` gave way to it, or was refused.
    """

    since: Moment
    deed: str
    by: str
    model_id: str
    other: str = ""
    reason: str = ""


class ModelOutcome(Section):
    """How one model came out in this session: forecasts whose outcome is known, and the trades they opened; shares are 0..1."""

    model_id: str
    first: Moment
    last: Moment
    forecasts: int = 0
    loss: Number = None
    skill: Number = None
    coverage_90: Number = None
    hit_rate: Number = None
    trades: int = 0
    won: Number = None
    profit: Number = None


class SessionStatus(Section):
    """The whole of `session.json`. `refused` is by symbol and reason how many orders came to nothing, as in a run's summary."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    name: str
    mode: str = "paper"
    kind: DataKind = DataKind.REAL
    exchanges: list[str] = Field(default_factory=list)
    symbols: list[str] = Field(default_factory=list)
    timeframe: str = "1h"
    state: SessionState = SessionState.RUNNING
    reason: str = ""
    started: Moment
    updated: Moment
    command: str = ""
    refresh_s: int = 10
    bars: int = 0
    last_bar: Moment | None = None
    next_bar: Moment | None = None
    start_equity: Number = None
    equity: Number = None
    cash: Number = None
    positions: list[PositionRow] = Field(default_factory=list)
    dust: dict[str, float] = Field(default_factory=dict)
    refused: dict[str, dict[str, int]] = Field(default_factory=dict)
    limits: LimitsSection | None = None
    learned: LearnedSection | None = None
    model_id: str = ""
    model_since: Moment | None = None
    next_retrain: Moment | None = None
    open_orders: list[OpenOrderRow] = Field(default_factory=list)
    sources: list[Source] = Field(default_factory=list)
    process: Process = Process()
    alerts: list[Alert] = Field(default_factory=list)
    decisions: list[ModelDecision] = Field(default_factory=list)
    outcomes: list[ModelOutcome] = Field(default_factory=list)
    config: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def profit(self) -> float | None:
        """Net profit since the start, in quote currency."""
        return None if self.equity is None or self.start_equity is None else self.equity - self.start_equity

    @property
    def gain(self) -> float | None:
        """The same as a share of what the session started with."""
        return self.profit / self.start_equity if self.profit is not None and self.start_equity else None

    @property
    def title(self) -> str:
        """The session in one line, beginning with SAMPLE on a practice market."""
        text = f"{self.name} · {', '.join(self.symbols)} {self.timeframe}"
        return f"SAMPLE · {text}" if self.kind is DataKind.SAMPLE else text


def write_status(session_dir: Path, status: SessionStatus) -> Path:
    """Write `session_dir/session.json` atomically and return its path."""
    path = session_dir / FILE_NAME
    tree = log.redacted(status.model_dump(mode="json", by_alias=True), numbers=False)
    atomic.write_text(path, json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_status(session_dir: Path) -> SessionStatus:
    """Read `session_dir/session.json`.

    Raises:
        RunUnreadable: the file is missing or not of this schema.
    """
    path = session_dir / FILE_NAME
    try:
        return SessionStatus.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunUnreadable(f"{path} does not exist; name the folder of a session") from error
    except (ValidationError, ValueError) as error:
        raise RunUnreadable(f"{path} cannot be read; start the session again") from error
