"""What is known of each kind of factor: when its values are published, how long they last, and how often its source is worth asking.

History counts as known when a session would have known it: once it was published, and its source asked again. So a model learns from
what it will be given, and not from a value that always comes a moment too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from forwardtrader.core.rooms.factor import FactorSettings

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Kind:
    """`soonest` is how long after its moment a value can be known at the earliest."""

    soonest: timedelta
    max_age: timedelta
    every: timedelta


def kind_of(settings: FactorSettings) -> Kind:
    """The manners of a fetched factor's kind; facts of a venue that come at fixed steps are known one step after their time stamp."""
    if settings.kind == "funding":
        return Kind(timedelta(0), _DAY, 5 * _MINUTE)  # settled at its stamp
    if settings.kind == "fear_greed":
        return Kind(_DAY, 3 * _DAY, _HOUR)
    if settings.kind == "json":
        return Kind(timedelta(0), 3 * _DAY, 15 * _MINUTE)
    step = spacing(settings)
    return Kind(step, _DAY, max(step / 12, _MINUTE))


def delay_of(settings: FactorSettings) -> timedelta:
    """How long after its moment a value counts as published where its source does not say so."""
    kind = kind_of(settings)
    return kind.soonest + kind.every if settings.known_after is None else settings.known_after


def spacing(settings: FactorSettings) -> timedelta:
    """The step at which a venue's facts come, by the name of their record; an hour for what has none."""
    return 5 * _MINUTE if settings.file.endswith("-5m.csv") else _HOUR
