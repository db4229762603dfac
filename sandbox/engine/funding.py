"""Funding of perpetuals every eight hours, and liquidation of accounts below their maintenance margin."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.engine.perpetual import must_liquidate, pay_funding

EVERY_MS: Final = 8 * 3_600_000


class FundingClock:
    """Settles due funding and liquidations after each bar. `rate` is the fraction of position value paid at 00, 08 and 16 UTC."""

    def __init__(self, exchange: Exchange, rate: Decimal) -> None:
        self._exchange = exchange
        self._rate = rate
        self.paid_until = exchange.now()

    def bar_ended(self) -> None:
        now = self._exchange.now()
        due = now // EVERY_MS - self.paid_until // EVERY_MS
        self.paid_until = now
        for _ in range(due):
            self._fund(now - now % EVERY_MS)
        self._liquidate()

    def _fund(self, at: int) -> None:
        for account in self._exchange.accounts.values():
            for symbol, position in account.positions.items():
                listing = self._exchange.listings[symbol]
                if position.size:
                    received = pay_funding(account, listing.rules, listing.last, self._rate)
                    self._exchange.publish(Funded(account.name, symbol, position.size, listing.last, self._rate, received, at))

    def _liquidate(self) -> None:
        marks = {symbol: listing.last for symbol, listing in self._exchange.listings.items() if listing.rules.can_short}
        for account in self._exchange.accounts.values():
            quotes = {self._exchange.listings[symbol].rules.quote for symbol in account.positions}
            if any(must_liquidate(account, quote, marks) for quote in quotes):
                for symbol in list(account.positions):
                    self._exchange.force_close(account.name, symbol)
