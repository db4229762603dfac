"""Funding rates from a venue into the store, from the newest that is stored on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

import pandas as pd

from forwardtrader.feeds.perpetuals.funding_store import FundingStore

_PAGE: Final = timedelta(days=30)
Retry = Callable[[Callable[[], "pd.Series[float]"]], "pd.Series[float]"]


class FundingVenue(Protocol):
    """A venue as a source of past funding."""

    def funding_page(self, symbol: str, since: datetime, until: datetime) -> pd.Series[float]:
        """All rates settled in [since, until), oldest first. Raises as `Venue.page`."""
        ...


def download_funding(
    venue: FundingVenue, key: tuple[str, str], wanted: tuple[datetime, datetime], store: FundingStore, retry: Retry
) -> int:
    """Fetch what the store lacks of the settlements in [start, end); how many are new.

    Args:
        key: the venue's name in the store, and the symbol.

    Raises:
        VenueUnreachable, VenueRefused: from the venue; what was received before is kept.
    """
    start, end = wanted
    stored = store.read(*key)
    added = 0
    if len(stored) and stored.index[0] <= pd.Timestamp(start) + timedelta(hours=8):
        start = max(start, stored.index[-1].to_pydatetime() + timedelta(minutes=1))
    while start < end:
        until = min(start + _PAGE, end)  # a page may be empty, before the listing or in an outage
        page = retry(partial(venue.funding_page, key[1], start, until))
        if len(page):
            added += store.append(*key, page)
        start = until
    return added
