"""Facts from an address that answers with JSON: any, by a mapping, and the Fear and Greed index of alternative.me."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from forwardtrader.core import environment
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.fetching import bounded_http
from forwardtrader.feeds.fetching.json_rows import Mapping, rows_of
from forwardtrader.feeds.fetching.port import Page

_FEAR_GREED: Final = "https://api.alternative.me/fng/?limit=0&format=json"
_FEAR_GREED_ROWS: Final = Mapping("data", "timestamp", "value")


@dataclass(frozen=True)
class WebSource:
    """One address; every answer holds all that it has. `timeout_s` bounds an answer as a whole."""

    url: str
    mapping: Mapping
    timeout_s: float

    def page(self, since: datetime, now: datetime) -> Page:
        """As `Source.page`; a page may also hold what lies before `since`."""
        address = bounded_http.filled_in(self.url, environment.environment())
        body = bounded_http.get(address, timeout_s=self.timeout_s)
        return Page(rows_of(body, self.mapping, now, bounded_http.shown(self.url)))


def web_source(entry: FactorSettings, timeout_s: float) -> WebSource:
    """The source of a factor of the kind json or fear_greed."""
    if entry.kind == "fear_greed":
        return WebSource(entry.url or _FEAR_GREED, _FEAR_GREED_ROWS, timeout_s)
    return WebSource(entry.url, Mapping(entry.rows, entry.time, entry.column, entry.known_at), timeout_s)
