"""A listed symbol: its market rules, candles and last price."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import MarketRules
from forwardtrader.sandbox.orders.candle import Candle, CandleBook, joined
from forwardtrader.sandbox.orders.order import ZERO, NewOrder, OrderType
from forwardtrader.sandbox.orders.refusal import RefusalReason

DAY_MS: Final = 86_400_000
FINEST_MARK: Final = Decimal("0.00000001")
MOST_VALUE: Final = Decimal(9_000_000_000)  # of one order, in quote units


@dataclass(slots=True)
class Listing:
    """State of one symbol. `bar` is the complete running bar, its future included; clients only see `candles`."""

    rules: MarketRules
    candles: CandleBook
    last: Decimal = ZERO
    bar: Candle | None = None
    halted: bool = False
    prints: int = 0
    taken: dict[Decimal, Decimal] = field(default_factory=dict)  # book mode: size taken at each price since the last print
    mark_price: Decimal | None = None  # of a perpetual with a series of marks
    basis: Decimal = ZERO  # by which share of the last price the mark is off it where there is no series

    @property
    def mark(self) -> Decimal:
        """The price at which positions are valued."""
        return self.based(self.last) if self.mark_price is None else self.mark_price

    def based(self, price: Decimal) -> Decimal:
        """The mark that goes with a price of the market."""
        return price if not self.basis else (price * (1 + self.basis)).quantize(FINEST_MARK)

    @property
    def is_open(self) -> bool:
        return self.bar is not None and not self.halted


def highest_price(rules: MarketRules) -> Decimal:
    return rules.tick * 10**8


def largest_size(rules: MarketRules) -> Decimal:
    return rules.step * 10**9


def breach(request: NewOrder, rules: MarketRules, last: Decimal) -> RefusalReason | None:
    """The first filter that an order fails, or None."""
    for price in (request.limit_price, request.stop_price):
        if price is not None and (not rules.tick <= price <= highest_price(rules) or price % rules.tick):
            return RefusalReason.PRICE_FILTER
    if request.quote_size is not None:
        return None if rules.min_notional <= request.quote_size <= MOST_VALUE else RefusalReason.NOTIONAL
    if not rules.min_size <= request.size <= largest_size(rules) or request.size % rules.step:
        return RefusalReason.LOT_SIZE
    if request.type is OrderType.MARKET and rules.max_market_size is not None and request.size > rules.max_market_size:
        return RefusalReason.MARKET_LOT_SIZE
    value = request.size * (request.limit_price or request.stop_price or last)
    return None if rules.min_notional <= value <= MOST_VALUE else RefusalReason.NOTIONAL


def last_day(listing: Listing) -> Candle:
    """The last 24 hours as one candle."""
    book = listing.candles
    newest = book.running or book.closed[-1]
    since = newest.start + book.base_ms - DAY_MS
    day = [c for c in book.closed[-(DAY_MS // book.base_ms) :] if c.start >= since]
    day = [*day, newest] if book.running is not None or not day else day
    return joined(day, day[0].start)
