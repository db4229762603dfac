"""Fill models: Backtrader's rule over whole bars, or matching against a simulated order book."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders import matching
from forwardtrader.sandbox.orders.book import side_levels
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.matching import Level
from forwardtrader.sandbox.orders.order import WITH_LIMIT, ExchangeOrder, OrderType
from forwardtrader.sandbox.orders.settings import BookSettings


@dataclass(frozen=True, slots=True)
class Match:
    """The fills of an order now, and whether its trigger has been passed."""

    pieces: tuple[Level, ...] = ()
    triggered: bool = False
    maker: bool = False


class FillModel(Protocol):
    """Decides when orders fill. `BarFills` equals a backtest; `BookFills` has spread, depth and partial fills."""

    def arrives(self, listing: Listing, order: ExchangeOrder) -> Match:
        """Fills of an order at its arrival."""
        ...

    def ticks(self, listing: Listing, orders: Iterable[ExchangeOrder], volume: Decimal) -> list[tuple[ExchangeOrder, Match]]:
        """The open orders filled by a print of `volume` at `listing.last`."""
        ...

    def bar_ends(self, listing: Listing, order: ExchangeOrder) -> Match:
        """Fills of an open order at the end of the running bar."""
        ...


@dataclass(frozen=True)
class BarFills:
    """Backtrader's rule: at the open of the bar in which an order arrives, else once, at the end of each bar, over the whole of it.

    Where `volume_share` is above zero, post-only orders wait in a queue: prices beyond their limit fill them, up to that share of the
    volume.
    """

    slippage_bps: Decimal
    volume_share: Decimal = Decimal(0)

    def arrives(self, listing: Listing, order: ExchangeOrder) -> Match:
        bar = listing.bar
        # Which of two linked legs fills is known only from the whole bar.
        if bar is None or order.list_id is not None:
            return Match()
        return self._match(order, matching.at_open(order.request, order.triggered, bar.open), listing)

    def ticks(self, listing: Listing, orders: Iterable[ExchangeOrder], volume: Decimal) -> list[tuple[ExchangeOrder, Match]]:
        return []

    def bar_ends(self, listing: Listing, order: ExchangeOrder) -> Match:
        if listing.bar is None or order.rests_until == listing.bar.start:
            return Match()
        if self.volume_share and order.list_id is None and order.request.type is OrderType.LIMIT_MAKER:
            return self._queued(order, listing, listing.bar)
        return self._match(order, matching.over_bar(order.request, order.triggered, listing.bar), listing)

    def _queued(self, order: ExchangeOrder, listing: Listing, bar: Candle) -> Match:
        rules, limit = listing.rules, order.request.limit_price
        size = matching.part_of_bar(order.request, order.remaining, bar, rules.tick, rules.step, self.volume_share)
        return Match((Level(limit, size),) if size and limit is not None else (), order.triggered, maker=True)

    def _match(self, order: ExchangeOrder, outcome: matching.BarOutcome, listing: Listing) -> Match:
        if outcome.price is None or listing.bar is None:
            return Match(triggered=outcome.triggered)
        price = outcome.price
        maker = order.request.type in WITH_LIMIT and price != listing.bar.open
        if self.slippage_bps:
            price = matching.slipped(order.request, price, listing.bar, self.slippage_bps)
        return Match((Level(price, order.remaining),), outcome.triggered, maker)


@dataclass(frozen=True)
class BookFills:
    """Takers walk the opposite side of the book; resting orders share the volume printed at or through their price, best price first."""

    book: BookSettings

    def arrives(self, listing: Listing, order: ExchangeOrder) -> Match:
        request = order.request
        triggered = order.triggered or matching.is_triggered(request, listing.last)
        if request.stop_price is not None and not triggered:
            return Match()
        far = Side.SELL if request.side is Side.BUY else Side.BUY
        pieces = matching.walk(side_levels(listing, self.book, far, self.book.levels), request, order.remaining)
        return Match(tuple(pieces), triggered)

    def ticks(self, listing: Listing, orders: Iterable[ExchangeOrder], volume: Decimal) -> list[tuple[ExchangeOrder, Match]]:
        matches: list[tuple[ExchangeOrder, Match]] = []
        left = volume * Decimal(str(self.book.participation))
        for order in sorted(orders, key=_priority):
            if _waits_for_trigger(order) or order.request.type not in WITH_LIMIT:
                match = self.arrives(listing, order)
            else:
                match, left = self._rest(listing, order, left)
            if match.pieces or match.triggered != order.triggered:
                matches.append((order, match))
        return matches

    def bar_ends(self, listing: Listing, order: ExchangeOrder) -> Match:
        return Match(triggered=order.triggered)

    def _rest(self, listing: Listing, order: ExchangeOrder, left: Decimal) -> tuple[Match, Decimal]:
        limit = order.request.limit_price
        if limit is None or not matching.crosses(order.request, listing.last):
            return Match(triggered=order.triggered), left
        size = min(left, order.remaining) // listing.rules.step * listing.rules.step
        if size <= 0:
            return Match(triggered=order.triggered), left
        return Match((Level(limit, size),), order.triggered, maker=True), left - size


def _waits_for_trigger(order: ExchangeOrder) -> bool:
    return order.request.stop_price is not None and not order.triggered


def _priority(order: ExchangeOrder) -> tuple[int, Decimal, int]:
    """Market orders first, then buys from the highest and sales from the lowest price, the older order first among equals."""
    price = order.request.limit_price
    if price is None or order.request.type is OrderType.MARKET:
        return 0, Decimal(0), order.id
    return 1, (-price if order.request.side is Side.BUY else price), order.id
