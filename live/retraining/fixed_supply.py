"""Forecast sources that need no training, in place of the model supply."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from forwardtrader.models.forecaster import ForecastSource

_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


class FixedSupply:
    """The same sources for ever; has the face of `ModelSupply`."""

    card: Any = None
    card_since: datetime | None = None
    training: Any = None
    next_boundary = _NEVER

    def __init__(self, sources: Mapping[str, ForecastSource]) -> None:
        self.sources = dict(sources)

    def open(self, at: datetime) -> None:
        """Nothing is to be loaded."""

    def bar_closed(self, at: datetime) -> None:
        """Nothing is learned."""

    def collect(self, coming: datetime, *, wait: bool = False) -> None:
        """Nothing is due."""

    def stop(self) -> None:
        """Nothing runs."""
