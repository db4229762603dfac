"""Mark and index price of perpetuals: from a series of their own, else the last price with a constant basis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import Listing


class MarkPrices:
    """Moves the marks of perpetuals with their bars.

    Args:
        series: bars of the mark price by symbol; where one lacks a bar, the last price stands in for it.
    """

    def __init__(self, listings: Iterable[Listing], series: Mapping[str, Iterable[Candle]]) -> None:
        self._listings = [listing for listing in listings if listing.rules.is_perpetual]
        self._series = {symbol: {bar.start: bar for bar in bars} for symbol, bars in series.items()}

    def bar_opened(self) -> None:
        for listing in self._listings:
            bar = self._bar(listing)
            listing.mark_price = None if bar is None else bar.open

    def bar_closes(self) -> None:
        for listing in self._listings:
            bar = self._bar(listing)
            listing.mark_price = None if bar is None else bar.close

    def of_bars(self) -> tuple[dict[str, Decimal], dict[str, Decimal], dict[str, Decimal]]:
        """Open, low and high of the mark in each running bar."""
        opens: dict[str, Decimal] = {}
        lows: dict[str, Decimal] = {}
        highs: dict[str, Decimal] = {}
        for listing in self._listings:
            if listing.bar is None:
                continue
            bar, symbol = self._bar(listing), listing.rules.symbol
            prices = (listing.bar.open, listing.bar.low, listing.bar.high)
            opens[symbol], lows[symbol], highs[symbol] = (bar.open, bar.low, bar.high) if bar else map(listing.based, prices)
        return opens, lows, highs

    def _bar(self, listing: Listing) -> Candle | None:
        return self._series.get(listing.rules.symbol, {}).get(listing.bar.start) if listing.bar else None
