"""Mark and index price of perpetuals: from a series of their own, else the last price with a constant basis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from forwardtrader.sandbox.orders.candle import Candle, interval_start, joined
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

    def extremes(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """The lowest and the highest mark of each running bar."""
        lows: dict[str, Decimal] = {}
        highs: dict[str, Decimal] = {}
        for listing in self._listings:
            bar = self._bar(listing)
            if listing.bar is not None:
                lows[listing.rules.symbol] = bar.low if bar else listing.based(listing.bar.low)
                highs[listing.rules.symbol] = bar.high if bar else listing.based(listing.bar.high)
        return lows, highs

    def past(self, listing: Listing, length: int) -> list[Candle]:
        """The mark's candles of `length` milliseconds, oldest first, made of bars that are over."""
        series, found = self._series.get(listing.rules.symbol, {}), dict[int, list[Candle]]()
        for bar in listing.candles.closed:
            found.setdefault(interval_start(bar.start, length), []).append(series.get(bar.start) or _based(listing, bar))
        return [joined(bars, start) for start, bars in found.items()]

    def _bar(self, listing: Listing) -> Candle | None:
        return self._series.get(listing.rules.symbol, {}).get(listing.bar.start) if listing.bar else None


def _based(listing: Listing, bar: Candle) -> Candle:
    """The mark over a bar of which there is no series."""
    low, high = listing.based(bar.low), listing.based(bar.high)
    return Candle(bar.start, listing.based(bar.open), high, low, listing.based(bar.close), Decimal(0))
