"""Whether an order may leave in a state of the account, and which resting orders must go. Pure.

Reducing means that nothing which may be executed adds exposure: all orders of one side together close what is held and no more.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from forwardtrader.strategies.trading_state.limits import OnBreach, TradingLimits

_NOISE: Final = 1e-9
_HOUR_S: Final = 3600.0
_REDUCING_SHARE: Final = 2  # orders that lower exposure may be so many times as frequent: a limit must not lock anybody in


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An order that may still be executed.

    Attributes:
        size: base units left, negative to sell.
        group: equal for orders of which only one can be executed; an order that stands alone has a group of its own.
        protects: it is a stop.
    """

    size: float
    group: Hashable
    protects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One symbol's position (base units, negative when short), its resting orders, and its newest price.

    Attributes:
        can_short: whether its market lets a position become negative.
    """

    held: float
    price: float
    resting: Sequence[RestingOrder] = ()
    can_short: bool = False

    def worst(self, new: RestingOrder | None = None) -> float:
        """The largest exposure, in quote units, that its orders may lead to; with `new` as one more of them."""
        orders = [*self.resting, *([new] if new is not None else [])]
        bought, sold = (_together(orders, sign) for sign in (1.0, -1.0))
        least = self.held - sold
        return max(abs(self.held), abs(self.held + bought), abs(least) if self.can_short else max(0.0, least)) * self.price

    def closable(self, order: RestingOrder) -> float:
        """Base units of the position that an order of this side may still close, beside those that rest."""
        sign = math.copysign(1.0, order.size)
        if self.held * sign >= 0.0:
            return 0.0
        return abs(self.held) - _together([each for each in self.resting if each.group != order.group], sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBook:
    """An account before an order: equity in quote units, and its symbols."""

    equity: float
    symbols: dict[str, Book] = field(default_factory=dict)

    def exposure(self, symbol: str = "", new: RestingOrder | None = None) -> float:
        """Largest exposure that its orders may lead to, as a share of equity; `new` is one more order, of `symbol`."""
        total = sum(book.worst(new if name == symbol else None) for name, book in self.symbols.items())
        return total / self.equity if self.equity > 0.0 else math.inf

    def exposure_of(self, symbol: str, new: RestingOrder | None = None) -> float:
        """The same of one symbol."""
        return self.symbols[symbol].worst(new) / self.equity if self.equity > 0.0 else math.inf


def lowers(book: Book, order: RestingOrder) -> bool:
    """Whether an order can only lower the exposure, whatever of what rests is executed before it."""
    return abs(order.size) <= book.closable(order) * (1.0 + _NOISE)


def too_much(book: Book) -> list[int]:
    """The resting orders, by place, that must go for the rest to only lower the exposure; stops are the last to go."""
    kept: list[RestingOrder] = []
    gone = []
    for place in sorted(range(len(book.resting)), key=lambda n: not book.resting[n].protects):
        order = book.resting[place]
        if lowers(Book(held=book.held, price=book.price, resting=kept), order):
            kept.append(order)
        else:
            gone.append(place)
    return sorted(gone)


def too_exposed(account: AccountBook, symbol: str, order: RestingOrder, limits: TradingLimits) -> str:
    """Why an order must not raise the exposure; "" where it stays within the limits, or does not raise it."""
    if account.symbols[symbol].worst(order) <= account.symbols[symbol].worst() * (1.0 + _NOISE):
        return ""
    if account.exposure_of(symbol, order) > limits.symbol_exposure * (1.0 + _NOISE):
        return f"the exposure would be beyond risk.max_symbol_exposure ({limits.symbol_exposure:g})"
    if account.exposure(symbol, order) > limits.gross_exposure * (1.0 + _NOISE):
        return f"the exposure would be beyond risk.max_gross_exposure ({limits.gross_exposure:g})"
    return ""


def too_frequent(at: float, sent: Sequence[float], limits: TradingLimits, *, lowering: bool) -> str:
    """Why one order more would be too many; "" where it is not.

    Args:
        at: open time of the bar.
        sent: the same of every order sent within the last hour.
        lowering: the order lowers the exposure.
    """
    share = _REDUCING_SHARE if lowering else 1
    if sum(1 for each in sent if each == at) >= limits.orders_per_bar * share:
        return f"more than {limits.orders_per_bar:g} orders in a bar (risk.max_orders_per_bar)"
    if sum(1 for each in sent if at - each < _HOUR_S) >= limits.orders_per_hour * share:
        return f"more than {limits.orders_per_hour:g} orders in an hour (risk.max_orders_per_hour)"
    return ""


def stopped_by(action: OnBreach, book: Book, order: RestingOrder) -> str:
    """In which state an order does not leave; "" where it does: exits while reducing, stops while halted, nothing while all is sold."""
    if action is OnBreach.FLATTEN:
        return "halted"
    if action is OnBreach.HALT:
        return "" if order.protects and lowers(book, order) else "halted"
    return "" if lowers(book, order) else "reduce only"


def _together(orders: Sequence[RestingOrder], sign: float) -> float:
    """Base units of one side that may be executed in all, above zero."""
    by_group: dict[Hashable, float] = {}
    for order in orders:
        if order.size * sign > 0.0:
            by_group[order.group] = max(by_group.get(order.group, 0.0), abs(order.size))
    return sum(by_group.values())
