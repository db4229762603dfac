"""What every settings class is made of: its manners, and spans of time as text."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from forwardtrader.core.types import format_span, parse_span


def _read_span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a span of time is not negative; use a form like 28d, 12h or 2w")
    return value


Span = Annotated[timedelta, BeforeValidator(_read_span), AfterValidator(_not_negative), PlainSerializer(format_span)]
OptionalSpan = Span | None


class Room(BaseModel):
    """The manners of every settings class: frozen, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
