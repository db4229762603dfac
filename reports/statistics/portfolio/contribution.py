"""What each symbol, long and short, contributed to an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from forwardtrader.reports.statistics.round_trips import fees_in_base, fees_in_quote, notional


@dataclass(frozen=True, kw_only=True)
class SymbolContribution:
    """One symbol's part of an account, in quote currency, fees taken off.

    `long` and `short` are the profit of positions on that side, the open one at its last price; `fees` are those of all fills, `traded` the
    value of both sides of every trade.
    """

    symbol: str
    long: float
    short: float
    fees: float
    traded: float
    fills: int

    @property
    def profit(self) -> float:
        return self.long + self.short


def contributions(fills: pd.DataFrame, last: Mapping[str, float]) -> list[SymbolContribution]:
    """Each symbol that was traded, the one that earned most first; together they are the account's profit, but for funding and deposits.

    Positions are valued at their average price. A fee is of the side that the fill opens or adds to, or closes; a fill that turns the
    position pays it on both in proportion.

    Args:
        fills: columns timestamp, symbol, side, size (base), price (quote), fee, fee_currency, in order of time.
        last: the price of each symbol at the end.
    """
    found = [_of(str(symbol), rows, last) for symbol, rows in fills.groupby("symbol", sort=True)]
    return sorted(found, key=lambda each: (-each.profit, each.symbol))


def _of(symbol: str, rows: pd.DataFrame, last: Mapping[str, float]) -> SymbolContribution:
    book = _Book()
    signed = rows["size"].where(rows["side"] == "buy", -rows["size"]).astype(float)
    for change, price, fee, coins in zip(signed, rows["price"].astype(float), fees_in_quote(rows), fees_in_base(rows), strict=True):
        book.fill(change, price, fee, coins)
    price = last.get(symbol, float(rows["price"].iloc[-1]))
    book.earn(book.size, book.size * (price - book.paid))
    return SymbolContribution(
        symbol=symbol, long=book.long, short=book.short, fees=float(fees_in_quote(rows).sum()), traded=notional(rows), fills=len(rows)
    )


@dataclass
class _Book:
    """A position at its average price, and the profit of each side so far."""

    size: float = 0.0
    paid: float = 0.0
    long: float = 0.0
    short: float = 0.0

    def fill(self, change: float, price: float, fee: float, coins: float) -> None:
        """Take a fill of signed `change` base units; a fee in `coins` leaves as many fewer, each at a price that holds the fee."""
        if coins:
            change, price, fee = change - coins, price * change / (change - coins), 0.0
        side = 1.0 if self.size > 0 else -1.0
        closing = min(abs(self.size), abs(change)) if self.size * change < 0 else 0.0
        opening = change + side * closing
        self.earn(side, side * closing * (price - self.paid) - fee * closing / abs(change))
        self.size -= side * closing
        if opening:
            self.earn(opening, -fee * abs(opening) / abs(change))
            self.paid = (self.size * self.paid + opening * price) / (self.size + opening)
            self.size += opening

    def earn(self, side: float, profit: float) -> None:
        if side > 0:
            self.long += profit
        elif side < 0:
            self.short += profit
