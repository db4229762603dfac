"""The port to a source of facts that are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from forwardtrader.feeds.factors.record import Fetched


@dataclass(frozen=True)
class Page:
    """One answer: its rows, and the moment up to which the source has now said all; None for all it has."""

    rows: Fetched
    upto: datetime | None = None


class Source(Protocol):
    """Answers with the facts of one factor; the same for years of history and for the newest value."""

    def page(self, since: datetime, now: datetime) -> Page:
        """Facts about moments from `since` on, final ones only.

        Raises:
            VenueUnreachable, VenueBusy: no answer, or none that can be read. VenueRefused: a refusal.
        """
        ...
