"""The simulated order book: levels around the last price, used for display and, in book mode, for matching."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.matching import Level
from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.settings import BookSettings


def best(listing: Listing, settings: BookSettings) -> tuple[Level, Level]:
    """The best bid and the best ask."""
    return side_levels(listing, settings, Side.BUY, 1)[0], side_levels(listing, settings, Side.SELL, 1)[0]


def side_levels(listing: Listing, settings: BookSettings, side: Side, count: int) -> list[Level]:
    """The best `count` levels of one side, best first, less what takers have taken since the last print.

    The spread is `spread_bps` around the last price, at least one tick; levels hold about `level_value` quote units and grow
    with the distance from the middle, as in real books.
    """
    tick, last = listing.rules.tick, listing.last
    sign = -1 if side is Side.BUY else 1
    half = last * Decimal(str(settings.spread_bps)) / 20_000
    gap = max(tick, last * Decimal(str(settings.level_gap_bps)) / 10_000)
    first = _on_grid(last + sign * max(half, tick / 2), tick, sign)
    levels = []
    for number in range(min(count, settings.levels)):
        price = _on_grid(first + sign * gap * number, tick, sign)
        if price <= 0:
            break
        whole = Decimal(str(settings.level_value)) * (1 + number) / 2 / price
        size = whole // listing.rules.step * listing.rules.step - listing.taken.get(price, ZERO)
        levels.append(Level(price, max(size, ZERO)))
    return levels


def _on_grid(price: Decimal, tick: Decimal, sign: int) -> Decimal:
    return (price / tick).to_integral_value(ROUND_CEILING if sign > 0 else ROUND_FLOOR) * tick
