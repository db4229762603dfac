"""The record of entries that were to rest as makers: how many did, what of them was filled, and what orders paid in fees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import backtrader as bt

from forwardtrader.strategies.orders.entries import CROSSED, POST_ONLY

_FILLED: Final = (bt.Order.Partial, bt.Order.Completed)


@dataclass(frozen=True, slots=True)
class MakerFill:
    """A fill of an entry that rested: Backtrader's time of its bar, 1 for a buy and -1 for a sale, base units, price in quote units."""

    at: float
    symbol: str
    side: int
    size: float
    price: float


@dataclass
class EntryRecord:
    """What became of the entries of a run. Values and fees are in quote units.

    Attributes:
        rested: entries that rested, and `asked` what they were worth at their limits.
        crossed: entries that the venue refused on arrival, since they would have taken.
        filled: of those that rested, how many were filled as makers, wholly or in part, and `made` what those fills were worth.
        handed_over: of those that rested, how many went to the market for what was left, or for a part of it.
        given_up: of those that rested, how many ended with something left.
        maker_fees, taker_fees: what fills of entries that rested paid, and what all others did.
    """

    rested: int = 0
    asked: float = 0.0
    crossed: int = 0
    filled: int = 0
    made: float = 0.0
    handed_over: int = 0
    given_up: int = 0
    maker_fees: float = 0.0
    taker_fees: float = 0.0
    fills: list[MakerFill] = field(default_factory=list)
    _made_by: set[int] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        return not self.rested and not self.crossed

    def note(self, order: Any, fills: list[tuple[float, float, float]]) -> None:
        """Take in a notification of an order.

        Args:
            fills: size, price and fee of what it executed since the one before.
        """
        is_entry = POST_ONLY in order.info
        is_maker = is_entry and order.exectype == bt.Order.Limit
        for size, price, fee in fills if order.status in _FILLED else ():
            if is_maker:
                self._add(order, size, price, fee)
            else:
                self.taker_fees += fee
        if is_entry and not order.alive():
            self._end(order, handed_over=not is_maker)

    def _add(self, order: Any, size: float, price: float, fee: float) -> None:
        self._made_by.add(order.ref)
        self.made += size * price
        self.maker_fees += fee
        self.fills.append(MakerFill(order.executed.dt, order.data._name, 1 if order.isbuy() else -1, size, price))

    def _end(self, order: Any, *, handed_over: bool) -> None:
        if order.status == bt.Order.Rejected:
            self.crossed += order.info.get("refusal") == CROSSED
            return
        self.rested += 1
        self.asked += abs(order.created.size) * order.created.price
        self.filled += order.ref in self._made_by
        self.handed_over += handed_over
        self.given_up += order.status != bt.Order.Completed
        self._made_by.discard(order.ref)
