"""The write budget of a day: what the free tier of Firestore allows, so that a session never runs up a bill unasked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from forwardtrader.live.output.state_store import Urgency

_WHERE: Final = ZoneInfo("America/Los_Angeles")  # quotas begin anew at midnight there
_ORDINARY: Final = 0.8  # of the budget; the rest is for what comes first


def day_of(now: datetime) -> str:
    """The day of the quota that a time (UTC) belongs to."""
    return now.astimezone(_WHERE).date().isoformat()


@dataclass(frozen=True)
class WriteBudget:
    """How many writes a day may have; 0 for no limit."""

    most: int

    def left(self, spent: int, urgency: Urgency) -> int:
        """How many documents may still be written on a day, of this urgency and below."""
        if not self.most:
            return 1_000_000
        share = 1.0 if urgency is Urgency.FIRST else _ORDINARY
        return max(0, int(self.most * share) - spent)
