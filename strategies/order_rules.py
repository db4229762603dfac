"""Order rules: normalisation to the venue's grid, dust, free coins and added exposure, the same for every broker.

Sizes are in base units, prices and notionals in quote units.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TypeVar

from forwardtrader.core.types import MarketRules, OrderRequest, Side

Number = Decimal | float | int
Amount = TypeVar("Amount", Decimal, float)
ZERO = Decimal(0)
# What fees in the coin may have taken off a position that a strategy believes to be as large as what it bought.
_TAKEN_BY_FEES = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class OrderRefusal:
    """Why the venue would not take the order; `kind` is the reason without the numbers of this one order, by which orders are counted."""

    reason: str
    kind: str = ""

    @property
    def counted_as(self) -> str:
        return self.kind or self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOrder:
    """An order before normalisation. `reference` is the newest price, used for the notional of a market order."""

    side: Side
    size: Number
    reference: Number
    limit_price: Number | None = None
    stop_price: Number | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RestingSell:
    """An open sell order, as far as it locks coins.

    Attributes:
        remaining: base units not filled yet, above zero.
        group: equal for orders of which only one can be filled (an OCO group, the children of one bracket); an order that stands alone
            has a group of its own.
    """

    remaining: float
    group: Hashable


def sellable(held: float, resting: Iterable[RestingSell], *, group: Hashable = None, incoming: float = 0.0) -> float:
    """Free balance: base units that a new sell order may have, since no other sell order locks them.

    An OCO group locks its coins once: as much as its largest member. Members of the new order's own group lock nothing against it.

    Args:
        held: base units of the position, negative when short.
        resting: the open sell orders of the same symbol, without those that wait for a parent to fill.
        group: the group that the new order joins; None where it stands alone.
        incoming: base units that the order's parent has still to buy.
    """
    locked: dict[Hashable, float] = {}
    for order in resting:
        if group is None or order.group != group:
            locked[order.group] = max(locked.get(order.group, 0.0), order.remaining)
    return held + incoming - sum(locked.values())


def adds_exposure(position: Number, side: Side, size: Number) -> bool:
    """Whether an order of `size` base units would enlarge the position: open one, add to one, or turn it to the other side.

    A buy that covers a short adds none, a sale that opens one does.

    Args:
        position: base units held, negative when short.
        size: base units of the order, above zero.
    """
    before, change = decimal(position), decimal(size)
    return enlarges(before, before + (change if side is Side.BUY else -change))


def enlarges(before: Amount, after: Amount) -> bool:
    """Whether going from one position or exposure (signed) to another one adds exposure; turning to the other side does."""
    return abs(after) > abs(before) or (before > 0 > after) or (before < 0 < after)


def normalise(order: RawOrder, rules: MarketRules, *, sellable: Number) -> OrderRequest | OrderRefusal:
    """Put size and prices on the venue's grid, or give the reason why the venue would refuse the order.

    The size is rounded down; a limit price to the side that is no worse than asked; a stop price to the side that triggers
    no later. A market or stop order above `max_market_size` is cut to it. Where the venue takes its fee in the coin, a sale of what was
    bought is one of what the fee left.

    Args:
        sellable: base units that are held and not locked by other orders; more than that cannot be sold on spot.
    """
    wanted = decimal(order.size)
    if not wanted.is_finite() or wanted <= 0:
        return OrderRefusal(f"size {order.size} is not above zero", "its size is not above zero")
    limit, stop = (None if price is None else on_tick(price, rules, order.side) for price in (order.limit_price, order.stop_price))
    asked = [price for price in (limit, stop) if price is not None]
    for price in (*asked, decimal(order.reference)):
        if not price.is_finite() or price <= 0:
            return OrderRefusal(f"price {price} is not above zero on the venue's grid", "its price is not above zero on the venue's grid")
    reference = asked[0] if asked else decimal(order.reference)
    if order.side is Side.SELL and rules.fee_in_base and not rules.can_short:
        wanted = _after_fees(wanted, decimal(sellable))
    size = floor_to(_market_cut(wanted, rules, limit), rules.step)
    refusal = _refusal(order, size, reference, rules, decimal(sellable))
    if refusal is not None:
        return refusal
    return OrderRequest(symbol=rules.symbol, side=order.side, size=size, limit_price=limit, stop_price=stop, reason=order.reason)


def is_dust(size: Number, price: Number | None, rules: MarketRules) -> bool:
    """Whether a holding is too small for the venue to take a market order for it; such a holding is no position.

    It is so exactly where `normalise` refuses the order that would close it.

    Args:
        price: the newest one; None, or no price at all, leaves only the units to go by.
    """
    units = floor_to(abs(decimal(size)), rules.step)
    if _are_too_few(units, rules):
        return True
    at = decimal(price) if price is not None else ZERO
    return at.is_finite() and at > 0 and _are_worth_too_little(units, at, rules)


class DustRule:
    """`is_dust` of one market for who asks at every bar: in Decimals only where floats leave it open.

    Rounding down to the step takes less than half of what is two steps or more, so that much is surely no dust; and what is half of the
    smallest order, or less, surely is.
    """

    __slots__ = ("_least_units", "_least_value", "rules")

    def __init__(self, rules: MarketRules) -> None:
        self.rules = rules
        self._least_units, self._least_value = float(max(rules.step, rules.min_size)), float(rules.min_notional)

    def __call__(self, size: float, close: float) -> bool:
        held = abs(size)
        value = held * close
        if held >= 2.0 * self._least_units and value >= 2.0 * self._least_value:
            return False
        if held <= 0.5 * self._least_units or 0.0 < value <= 0.5 * self._least_value:
            return True
        return is_dust(size, close, self.rules)


def smallest_cost(rules: MarketRules, price: Number) -> Decimal:
    """What the smallest order that the venue takes is worth at `price`, in quote units; fees come on top."""
    at = decimal(price)
    units = max(ceil_to(rules.min_notional / at, rules.step), rules.min_size, rules.step)
    return units * at


def floor_to(value: Decimal, grid: Decimal) -> Decimal:
    """The largest multiple of `grid` not above `value`; the value itself where there is no grid."""
    return (value / grid).to_integral_value(ROUND_DOWN) * grid if grid > 0 else value


def ceil_to(value: Decimal, grid: Decimal) -> Decimal:
    """The smallest multiple of `grid` not below `value`; the value itself where there is no grid."""
    return (value / grid).to_integral_value(ROUND_UP) * grid if grid > 0 else value


def decimal(value: Number) -> Decimal:
    """The number as it is meant: a float to twelve significant digits, so that sums like 0.1 + 0.2 do not fall off the grid."""
    return Decimal(f"{value:.12g}") if isinstance(value, float) else Decimal(value)


def on_tick(price: Number, rules: MarketRules, side: Side) -> Decimal:
    """A price on the venue's grid: a limit no worse than asked, a stop that triggers no later."""
    exact = decimal(price)
    if not exact.is_finite():
        return exact
    return ceil_to(exact, rules.tick) if side is Side.SELL else floor_to(exact, rules.tick)


def _after_fees(wanted: Decimal, sellable: Decimal) -> Decimal:
    """`buy(size=1)` and then `sell(size=1)` is usual in strategies that ignore such fees; a larger difference is an order too large."""
    return sellable if sellable < wanted <= sellable * (1 + _TAKEN_BY_FEES) else wanted


def _market_cut(size: Decimal, rules: MarketRules, limit: Decimal | None) -> Decimal:
    if limit is not None or rules.max_market_size is None:
        return size
    return min(size, rules.max_market_size)


def _are_too_few(units: Decimal, rules: MarketRules) -> bool:
    return units <= 0 or units < rules.min_size


def _are_worth_too_little(units: Decimal, price: Decimal, rules: MarketRules) -> bool:
    return units * price < rules.min_notional


def _refusal(order: RawOrder, size: Decimal, price: Decimal, rules: MarketRules, sellable: Decimal) -> OrderRefusal | None:
    if _are_too_few(size, rules):
        least = max(rules.step, rules.min_size)
        return OrderRefusal(f"size {order.size} {rules.base} is below the smallest of {least}", f"smaller than {least} {rules.base}")
    if _are_worth_too_little(size, price, rules):
        worth = f"notional {size * price} {rules.quote} is below the smallest of {rules.min_notional}"
        return OrderRefusal(worth, f"worth less than {rules.min_notional} {rules.quote}")
    if order.side is Side.SELL and not rules.can_short and size > sellable:
        if sellable <= 0:
            return OrderRefusal(f"{rules.symbol} cannot be sold short, and none is held free of other orders")
        more = f"{size} {rules.base} is more than the {sellable} held free of other orders"
        return OrderRefusal(more, f"more {rules.base} than is held free of other orders")
    return None
