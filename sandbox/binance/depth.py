"""Binance's depth streams: the best levels, or the changes since the last print."""

from __future__ import annotations

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.orders.book import side_levels
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.settings import BookSettings

Levels = dict[str, str]


class DepthStreams:
    """Builds depth messages; remembers the levels last sent for each symbol."""

    def __init__(self, settings: BookSettings) -> None:
        self._settings = settings
        self._sent: dict[str, tuple[Levels, Levels]] = {}

    def changes(self, symbol: str, listing: Listing, at: int) -> form.Payload:
        """A `depthUpdate`: every level that is new, differs, or (size 0) is gone. One print is one update id."""
        before = self._sent.get(symbol, ({}, {}))
        after = self._sides(listing, self._settings.levels)
        self._sent[symbol] = after
        bids, asks = (changed(old, new) for old, new in zip(before, after, strict=True))
        number = listing.prints
        return {"e": "depthUpdate", "E": at, "s": form.ident(symbol), "U": number, "u": number, "b": bids, "a": asks}

    def best(self, listing: Listing, count: int) -> form.Payload:
        """The message of a `@depth5`, `@depth10` or `@depth20` stream."""
        bids, asks = self._sides(listing, count)
        return {"lastUpdateId": listing.prints, "bids": [list(x) for x in bids.items()], "asks": [list(x) for x in asks.items()]}

    def _sides(self, listing: Listing, count: int) -> tuple[Levels, Levels]:
        bids, asks = (
            {form.number(level.price): form.number(level.size) for level in side_levels(listing, self._settings, side, count)}
            for side in (Side.BUY, Side.SELL)
        )
        return bids, asks


def changed(before: Levels, after: Levels) -> list[list[str]]:
    gone = [[price, form.number(None)] for price in before if price not in after]
    return gone + [[price, size] for price, size in after.items() if before.get(price) != size]
