"""How far this machine's clock is from a venue's."""

from __future__ import annotations

from typing import Any

from forwardtrader.core.clock import Clock
from forwardtrader.feeds.venues.retry import VenueRequests


async def clock_offset(client: Any, clock: Clock) -> float | None:
    """Seconds that `clock` is ahead of the venue, half a way's time taken off; None where the venue does not tell its time.

    Raises:
        VenueUnreachable, VenueRefused: no answer, or a refusal.
    """
    if not client.has.get("fetchTime"):
        return None
    before = clock.now().timestamp()
    theirs = await VenueRequests(client).once(client.fetch_time)
    return (before + clock.now().timestamp()) / 2 - float(theirs) / 1000
