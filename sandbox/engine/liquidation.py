"""Liquidation of accounts whose equity has fallen to the maintenance margin, and auto-deleveraging."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import BalancesChanged, Liquidated
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ZERO, Origin
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


class Liquidation:
    """Looks at every account when a bar opens, at the mark; and before it ends, at the worst mark that it had for each position.

    What has to be closed is closed at those prices, all positions of the currency at once, for the liquidation fee. What the balance
    lacks then, the insurance fund bears.
    """

    def __init__(self, exchange: Exchange, margin: CrossMargin) -> None:
        self._exchange = exchange
        self._margin = margin

    def at_mark(self) -> None:
        for account in self._exchange.accounts.values():
            self._look(account, {})

    def at_worst(self, lows: Mapping[str, Decimal], highs: Mapping[str, Decimal]) -> None:
        """`lows` and `highs` of the bar's mark price, by symbol."""
        for account in self._exchange.accounts.values():
            sizes = {symbol: position.size for symbol, position in account.positions.items() if symbol in lows}
            self._look(account, {symbol: lows[symbol] if size > 0 else highs[symbol] for symbol, size in sizes.items()})

    def deleverage(self, account: ClientAccount, symbol: str, size: Decimal | None = None) -> None:
        """Reduce a position at the mark by `size`, or wholly, against the bankrupt position of somebody else.

        Raises:
            OrderRefused: nothing is held.
        """
        held = account.position(symbol).size
        if not held:
            raise OrderRefused(RefusalReason.REDUCE_ONLY)
        side = Side.SELL if held > 0 else Side.BUY
        closed = min(abs(held), size or abs(held))
        self._exchange.force(account.name, symbol, side, closed, self._exchange.listings[symbol].mark, Origin.DELEVERAGING)

    def delist(self, symbol: str) -> None:
        """End a symbol: its orders are cancelled, every position closed at the mark, and it is not traded any more."""
        listing = self._exchange.listings[symbol]
        for account in self._exchange.accounts.values():
            self._exchange.cancel_all(account.name, [symbol])
            held = account.position(symbol).size
            if held:
                side = Side.SELL if held > 0 else Side.BUY
                self._exchange.force(account.name, symbol, side, abs(held), listing.mark, Origin.DELISTING)
        listing.halted = True

    def _look(self, account: ClientAccount, marks: Mapping[str, Decimal]) -> None:
        listings = [self._exchange.listings[symbol] for symbol, position in account.positions.items() if position.size]
        for currency in sorted({listing.rules.settle for listing in listings}):
            equity = self._margin.equity(account, currency, marks)
            needed = self._margin.maintenance(account, currency, marks)
            if equity <= needed:
                self._close(account, currency, marks)
                self._cover(account, currency, equity, needed)

    def _close(self, account: ClientAccount, currency: str, marks: Mapping[str, Decimal]) -> None:
        held: list[tuple[Listing, Decimal]] = [(x, p.size) for x, p in self._margin.held(account, currency)]
        self._exchange.cancel_all(account.name, [s for s, x in self._exchange.listings.items() if x.rules.settle == currency])
        for listing, size in held:
            symbol, side = listing.rules.symbol, Side.SELL if size > 0 else Side.BUY
            self._exchange.force(account.name, symbol, side, abs(size), marks.get(symbol, listing.mark), Origin.LIQUIDATION)

    def _cover(self, account: ClientAccount, currency: str, equity: Decimal, needed: Decimal) -> None:
        short = max(-account.total(currency), ZERO)
        if short:
            account.receive(currency, short)
            account.insured[currency] = account.insured.get(currency, ZERO) + short
        now = self._exchange.now()
        self._exchange.publish(Liquidated(account.name, currency, equity, needed, short, now))
        self._exchange.publish(BalancesChanged(account.name, (currency,), now))
