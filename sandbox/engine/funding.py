"""Funding of perpetuals: longs pay shorts, or the reverse, a share of the position's value at the mark."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.settlement import rounded

Rate: TypeAlias = tuple[int, Decimal]  # settlement time in milliseconds UTC, and the share that longs pay

HOUR_MS = 3_600_000


class FundingRates(Protocol):
    """The funding rates of one perpetual."""

    def between(self, after: int, until: int) -> Sequence[Rate]:
        """The settlements in (after, until], oldest first."""

    def following(self, at: int) -> Rate:
        """The first settlement after `at`, and its rate as far as it is known."""


@dataclass(frozen=True)
class ConstantRates:
    """The same rate every `every` milliseconds."""

    rate: Decimal
    every: int

    def between(self, after: int, until: int) -> Sequence[Rate]:
        return [(at, self.rate) for at in range((after // self.every + 1) * self.every, until + 1, self.every)]

    def following(self, at: int) -> Rate:
        return (at // self.every + 1) * self.every, self.rate


class ListedRates:
    """Rates at times of their own."""

    def __init__(self, rates: Sequence[Rate], every: int) -> None:
        self._rates = list(rates)
        self._times = [at for at, _ in rates]
        self._every = every

    def between(self, after: int, until: int) -> Sequence[Rate]:
        return self._rates[bisect_right(self._times, after) : bisect_right(self._times, until)]

    def following(self, at: int) -> Rate:
        place = bisect_right(self._times, at)
        return self._rates[place] if place < len(self._rates) else ((at // self._every + 1) * self._every, Decimal(0))


class FundingClock:
    """Settles what is due when a bar opens, before the first order that arrives in it: at the mark of that moment, for what is held then.

    A settlement that falls between the opens of two bars belongs to the bar that contains it.

    Attributes:
        paid_until: settlements up to this time (ms) are done.
    """

    def __init__(self, exchange: Exchange, rates: Mapping[str, FundingRates], length: int) -> None:
        self._exchange = exchange
        self.rates = dict(rates)
        self._length = length
        self.paid_until = exchange.now() + length - 1

    def bar_opened(self) -> None:
        until = self._exchange.now() + self._length - 1
        for symbol, rates in self.rates.items():
            for at, rate in rates.between(self.paid_until, until):
                for account in self._exchange.accounts.values():
                    self._pay(account, self._exchange.listings[symbol], at, rate)
        self.paid_until = max(self.paid_until, until)

    def _pay(self, account: ClientAccount, listing: Listing, at: int, rate: Decimal) -> None:
        symbol, mark = listing.rules.symbol, listing.mark
        if symbol not in account.positions or not account.positions[symbol].size:
            return
        position = account.position(symbol)
        received = -rounded(position.size * mark * rate)
        account.receive(listing.rules.settle, received)
        position.funding += received
        paid = Funded(account.name, symbol, position.size, mark, rate, received, at)
        self._exchange.payments.append(paid)
        self._exchange.publish(paid)
