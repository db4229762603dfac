"""Settings of the comparison of several venues for one market."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, model_validator

from forwardtrader.core.rooms.room import Room

_VENUE: Final = re.compile(r"\w+(:[A-Z0-9]+)?", re.ASCII)


class ConfirmationSettings(Room):
    """Which other venues confirm the prices of the traded one, and when two of them disagree.

    Two venues disagree in a bar where their closes lie farther from their usual distance than the sum of `confirm_spreads` usual spreads
    and `confirm_ranges` ranges of a bar, of the usual one and of the present one (docs/venues.md).
    """

    confirm_exchanges: tuple[str, ...] = Field(
        default=(),
        description="venues that confirm the traded one's prices, with another quote as kraken:USD; --exchange given again names them",
    )
    confirm_urls: tuple[str, ...] = Field(
        default=(), description="other addresses for the confirming venues, in their order; empty for their own"
    )
    confirm_window: int = Field(default=501, ge=50, le=10_000, description="bars from which the usual distance of two venues is learned")
    confirm_spreads: float = Field(default=8.0, gt=0, description="venues disagree that are so many usual spreads apart, and")
    confirm_ranges: float = Field(default=0.2, ge=0, description="so many times the range of a bar beyond that")
    confirm_tolerance_bps: float = Field(
        default=50.0, gt=0, description="basis points in place of the usual spreads, until enough bars were seen to learn them from"
    )
    confirm_return_bars: int = Field(
        default=3, ge=1, le=1000, description="bars in a row without a fault after which a venue is trusted again"
    )
    confirm_wait_s: float = Field(
        default=3.0, ge=0, le=30, description="live: seconds that a closed bar waits for those of the confirming venues"
    )

    @model_validator(mode="after")
    def _confirmed_by_others(self) -> ConfirmationSettings:
        if len(set(self.confirm_exchanges)) != len(self.confirm_exchanges):
            raise ValueError("confirm_exchanges names a venue twice; name each one once")
        for name in self.confirm_exchanges:
            if not _VENUE.fullmatch(name):
                raise ValueError(f"confirm_exchanges: {name!r} is no venue; write it as kraken, or with another quote as kraken:USD")
        return self
