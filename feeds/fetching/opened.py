"""The collectors of a run's factors: for each entry of `feeds.factors` that is fetched, its source and its record."""

from __future__ import annotations

from functools import cache, partial

from forwardtrader.core.clock import Clock
from forwardtrader.core.rooms.factor import OF_VENUES, FactorSettings
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.fetching.collection import Collector
from forwardtrader.feeds.fetching.port import Source
from forwardtrader.feeds.fetching.venue_facts import venue_source
from forwardtrader.feeds.fetching.web import web_source
from forwardtrader.feeds.venues.exchange import CcxtVenue, require_known


def collectors(feeds: FeedSettings, clock: Clock, *, venue_url: str = "") -> list[Collector]:
    """One for each factor that is fetched; nothing is asked yet.

    Args:
        venue_url: address of the traded venue where it is not `feeds.exchange_url`, as of a practice exchange.

    Raises:
        UnknownVenue, InvalidSetting: an exchange that ccxt does not know, or that does not serve a kind of fact.
    """
    found = []
    for entry in feeds.located_factors:
        if entry.is_fetched:
            opened = partial(_source, entry, feeds, venue_url or feeds.exchange_url)
            if entry.kind in OF_VENUES:
                require_known(entry.exchange)
                opened()  # what it does not serve is the user's mistake, told at once
            found.append(Collector(entry, opened, clock, feeds.request_timeout_s))
    return found


def _source(entry: FactorSettings, feeds: FeedSettings, url: str) -> Source:
    if entry.kind not in OF_VENUES:
        return web_source(entry, feeds.request_timeout_s)
    base_url = url if entry.exchange == feeds.exchange else ""
    open_venue = cache(partial(CcxtVenue, timeout_s=feeds.request_timeout_s, base_url=base_url))
    return venue_source(entry, open_venue)
