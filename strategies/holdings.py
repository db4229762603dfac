"""Holdings of an account, and which of them are a position for a strategy: the same for every broker.

A holding that the venue takes no order for (`order_rules.is_dust`: what a fee in base currency left off the grid, or what a fall of the
price left below the smallest notional) stays in the account's value to the unit, but a strategy is flat.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backtrader.position import Position

from forwardtrader.strategies.backtrader_objects import BtData, BtLine
from forwardtrader.strategies.feed_context import context_of, traded
from forwardtrader.strategies.order_rules import DustRule


@dataclass(frozen=True, slots=True)
class Dust:
    """A holding too small to be sold: units of the base currency, and what they are worth in the quote currency."""

    symbol: str
    units: float
    base: str
    value: float
    quote: str

    def __str__(self) -> str:
        return f"{self.units:.8f} {self.base} ({self.value:,.2f} {self.quote}) held, too small to sell"


class Holdings(Mapping[BtData, Position]):
    """By feed, the position that a strategy sees, evaluated at the newest close.

    Nothing is set aside: a buy adds to the dust that is there, and the sum is a position once the venue would take an order for it.

    Attributes:
        held: what the account owns, dust included; brokers book here.
    """

    def __init__(self, held: defaultdict[BtData, Position] | None = None) -> None:
        self.held = defaultdict(Position) if held is None else held
        self._in_a_trade: set[BtData] = set()
        self._rules: dict[BtData, tuple[DustRule, BtLine]] = {}  # and the line of closes

    def __getitem__(self, data: BtData) -> Position:
        data = traded(data)
        position = self.held[data]
        return Position() if position.size and self._is_dust(data, position.size) else position

    def __iter__(self) -> Iterator[BtData]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def dust(self) -> list[Dust]:
        """What is held and cannot be sold, symbol by symbol."""
        return [_dust(data, p.size) for data, p in self.held.items() if p.size and self._is_dust(data, p.size)]

    def settle(self, order: Any, data: BtData, before: float) -> None:
        """Have the newest execution of `order` close a trade where it leaves a strategy flat.

        Backtrader's trades go by what an execution opened and closed. Dust that a sale leaves is closed with it, at its price, and opened
        again with the next buy, so that a trade is as large as the position; size, fee and cash of the execution stay as they were.

        Args:
            data: the feed whose position was booked.
            before: units held before.
        """
        bit, known = order.executed.exbits[-1], data in self._in_a_trade
        is_flat = self._is_dust(data, self.held[data].size)
        bit.closed, bit.opened = trade_parts(before, bit.size, known=known, is_flat=is_flat)
        if bit.opened or (known and not is_flat):
            self._in_a_trade.add(data)
        else:
            self._in_a_trade.discard(data)

    def _is_dust(self, data: BtData, size: float) -> bool:
        rules, known = context_of(data).rules, self._rules.get(data)
        if known is None or known[0].rules is not rules:  # a venue may change its rules
            known = self._rules[data] = (DustRule(rules), data.close)
        is_dust, close = known
        return is_dust(size, close[0] if len(close) else math.nan)


def trade_parts(before: float, size: float, *, known: bool, is_flat: bool) -> tuple[float, float]:
    """How much of an execution closes a trade, and how much opens one; signed as `size`.

    Args:
        before: units held before it.
        known: those units are in an open trade; they are not where they are dust that an earlier sale left, or from before a restart.
        is_flat: what is held after it is nothing or dust.
    """
    after = before + size
    if before * size >= 0.0:
        return 0.0, size if known else after
    if before * after >= 0.0:
        return (0.0 if not known else -before if is_flat else size), 0.0
    return (-before if known else 0.0), 0.0 if is_flat else after


def _dust(data: BtData, units: float) -> Dust:
    rules = context_of(data).rules
    return Dust(rules.symbol, units, rules.base, units * data.close[0] if len(data) else math.nan, rules.quote)
