"""What every settings class is made of: its manners, and spans of time as text."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from forwardtrader.core.types import parse_span


def _read_span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


def _write_span(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds // 60}m"


Span = Annotated[timedelta, BeforeValidator(_read_span), PlainSerializer(_write_span)]
OptionalSpan = Annotated[
    timedelta | None, BeforeValidator(_read_span), PlainSerializer(lambda value: None if value is None else _write_span(value))
]


class Room(BaseModel):
    """The manners of every settings class: frozen, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
