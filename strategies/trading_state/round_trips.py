"""Results of closed trades, from executions alone, so that they survive a restart as plain numbers.

A trade lasts from flat to flat: what was paid for it and what it brought, fees included. Backtrader's own do not outlive the process.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """An open trade: base units held (negative when short), and quote units that it brought so far, negative while it only cost."""

    units: float = 0.0
    brought: float = 0.0


@dataclass(frozen=True, slots=True)
class TripFill:
    """An execution: base units (negative sold), price and fee in quote units."""

    size: float
    price: float
    fee: float = 0.0


def book(trip: RoundTrip, fill: TripFill, *, is_flat: bool) -> tuple[RoundTrip, float | None]:
    """The trade after a fill, and the result of one that the fill closed (quote units); None where it closed none.

    Args:
        is_flat: what is held after the fill is nothing, or too little to be sold; that is carried over at the fill's price.
    """
    turns = trip.units * (trip.units + fill.size) < 0.0
    if turns and not is_flat:
        share = -trip.units / fill.size
        closed = trip.brought - (fill.size * share) * fill.price - fill.fee * share
        opened = RoundTrip(trip.units + fill.size, -(trip.units + fill.size) * fill.price - fill.fee * (1.0 - share))
        return opened, closed
    held, brought = trip.units + fill.size, trip.brought - fill.size * fill.price - fill.fee
    if not is_flat:
        return RoundTrip(held, brought), None
    return RoundTrip(held, -held * fill.price), brought + held * fill.price
