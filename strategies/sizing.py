"""Position sizing: exposure limits from volatility and the stop, and the units of an exposure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STOP_DISTANCE = 0.9


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Limits of the exposure to one symbol. Exposures, losses and costs are shares of equity or of the traded value.

    Attributes:
        max_exposure: largest exposure, after the account was divided among the symbols.
        target_volatility: yearly volatility the position may bring to the account.
        yearly_root: square root of the number of forecast horizons in a year.
        risk_tolerance: largest loss at the stop.
        stop_scales: distance of the stop, in forecast scales.
        round_trip: cost of entering and of leaving at the stop.
        entry_cost: cost of a buy, fee and slippage.
        cash_reserve: share of the cash kept for the gap between the close decided on and the next open.
        leverage: of an account on margin; 0 for one of cash.
    """

    max_exposure: float
    target_volatility: float
    yearly_root: float
    risk_tolerance: float
    stop_scales: float
    round_trip: float
    entry_cost: float
    cash_reserve: float
    leverage: float = 0.0


def stop_distance(scale: float, rule: SizeRule) -> float:
    """How far below (above, for a short) the fill the stop lies, as a share of the price."""
    return min(MAX_STOP_DISTANCE, rule.stop_scales * scale)


def exposure_cap(scale: float, rule: SizeRule) -> float:
    """The largest exposure that volatility target, loss at the stop and exposure limit allow; zero where the scale is unknown."""
    if not scale > 0.0:
        return 0.0
    by_volatility = rule.target_volatility / (scale * rule.yearly_root)
    by_stop = rule.risk_tolerance / (stop_distance(scale, rule) + rule.round_trip)
    return min(rule.max_exposure, by_volatility, by_stop)


def stop_price(side: float, fill: float, size: float, distance: float, budget: float, rule: SizeRule) -> float:
    """Where the protective stop goes: `distance` from the fill, nearer where more than `budget` would be lost.

    Args:
        side: 1 for a long, -1 for a short position.
        fill: price of the newest fill.
        size: units held, positive.
        budget: quote units that may be lost between fill and stop, the cost of both fills included.
    """
    allowed = max(0.0, budget / size - rule.round_trip * fill)
    return fill - side * min(distance * fill, allowed)


def units(change: float, price: float, cash: float, rule: SizeRule, *, grows: bool = True) -> float:
    """Units for a change of `change` quote units; a buy is cut to what the cash pays for with costs and reserve.

    On margin `cash` is the free margin, and a change that makes the position grow is cut to it, to either side.
    """
    if rule.leverage:
        room = cash * rule.leverage * (1.0 - rule.cash_reserve) / (1.0 + rule.leverage * rule.entry_cost)
        return (max(-room, min(change, room)) if grows else change) / price
    if change > 0.0:
        change = min(change, max(0.0, cash) * (1.0 - rule.cash_reserve) / (1.0 + rule.entry_cost))
    return change / price
