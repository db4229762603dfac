"""The port to venues as a source of past candles and market rules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol

import pandas as pd

from forwardtrader.core.errors import UnknownSymbol
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.feeds.venues.reach import Endpoint, is_loopback

_PRACTICE: Final = "practice_"


class Venue(Protocol):
    """A source of past candles. `CcxtVenue` requests them from an exchange, `MemoryVenue` holds frames."""

    name: str
    page_bars: int

    def page(self, symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame:
        """Rows of the candle schema from the bar opening at `since` on, oldest first, the running bar included; empty past the end.

        Raises:
            VenueBusy: rate limited; VenueUnreachable: no answer; VenueRefused: refused.
            UnknownSymbol, UnknownTimeframe: it has no such candles; the message suggests the nearest.
        """
        ...

    def rules(self, symbol: str) -> MarketRules:
        """The market rules of a symbol. Raises as `page`."""
        ...


class MemoryVenue:
    """A venue made of candle frames."""

    def __init__(self, name: str, markets: Mapping[str, pd.DataFrame], *, page_bars: int = 1000) -> None:
        self.name = name
        self.page_bars = page_bars
        self._markets = dict(markets)

    def page(self, symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame:
        if symbol not in self._markets:
            raise UnknownSymbol(unknown_symbol(symbol, self._markets, self.name))
        return self._markets[symbol].loc[pd.Timestamp(since) :].iloc[: self.page_bars]

    def rules(self, symbol: str) -> MarketRules:
        return market_rules(symbol, self.name)


def stored_under(exchange: str, url: str = "") -> str:
    """The name that candles of `exchange`, reached at `url`, are stored under.

    Candles of a practice exchange on this machine are simulated: they get a name of their own and never pass for the exchange's.
    """
    endpoint = Endpoint.of_url(url) if url else None
    if endpoint is None or not is_loopback(endpoint):
        return exchange
    return f"{_PRACTICE}{exchange}_{endpoint.host}_{endpoint.port}"


def is_practice(name: str) -> bool:
    """Whether candles stored under `name` come from a practice exchange."""
    return name.startswith(_PRACTICE)


def unknown_symbol(symbol: str, known: Iterable[str], where: str) -> str:
    """The message of `UnknownSymbol`: who does not know it, and the nearest names."""
    listed = sorted(known)
    near = difflib.get_close_matches(symbol.upper(), listed, n=3, cutoff=0.5)
    base = symbol.upper().partition("/")[0]
    near = near or [name for name in listed if name.startswith(f"{base}/")][:3]
    return f"{where} does not list {symbol!r}" + (f"; nearest are {', '.join(near)}" if near else "; a symbol is written like BTC/USDT")
