"""Liquidation of accounts whose equity has fallen to the maintenance margin, and auto-deleveraging."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import BalancesChanged, Liquidated
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ZERO, Origin
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason

Marks: TypeAlias = Mapping[str, Decimal]


class Liquidation:
    """Looks at every account when a bar opens, at the mark; and before it ends, on the way of the marks from its open to their worst.

    All marks move on that way together, and what has to be closed is closed where equity meets the maintenance margin: all positions of
    the currency at once, for the liquidation fee, or as much of it as there is. What the balance lacks then, the insurance fund bears.

    Args:
        fee: share of the value closed.
    """

    def __init__(self, exchange: Exchange, margin: CrossMargin, fee: Decimal) -> None:
        self._exchange = exchange
        self._margin = margin
        self._fee = fee

    def at_mark(self) -> None:
        for account in self._exchange.accounts.values():
            for currency in self._currencies(account):
                marks = {x.rules.symbol: x.mark for x, _ in self._margin.held(account, currency)}
                if self._excess(account, currency, marks) <= 0:
                    self._close(account, currency, marks)

    def on_the_way(self, opens: Marks, lows: Marks, highs: Marks) -> None:
        """`opens`, `lows` and `highs` of the running bars' mark prices, by symbol."""
        for account in self._exchange.accounts.values():
            for currency in self._currencies(account):
                held = {x.rules.symbol: (x, p) for x, p in self._margin.held(account, currency)}
                first = {symbol: opens.get(symbol, x.mark) for symbol, (x, _) in held.items()}
                worst = {s: (lows if p.size > 0 else highs).get(s, first[s]) for s, (_, p) in held.items()}
                if self._excess(account, currency, worst) <= 0:
                    self._close(account, currency, self._meeting(account, currency, first, worst))

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

    def _currencies(self, account: ClientAccount) -> list[str]:
        return sorted({self._exchange.listings[symbol].rules.settle for symbol, p in account.positions.items() if p.size})

    def _excess(self, account: ClientAccount, currency: str, marks: Marks) -> Decimal:
        """Equity beyond the maintenance margin."""
        return self._margin.equity(account, currency, marks) - self._margin.maintenance(account, currency, marks)

    def _meeting(self, account: ClientAccount, currency: str, first: Marks, worst: Marks) -> dict[str, Decimal]:
        """The marks at which nothing is left beyond the maintenance margin. Between two changes of a tier that is a straight line."""
        before, last = Decimal(0), self._excess(account, currency, first)
        for share in self._changes(account, currency, first, worst):
            now = self._excess(account, currency, _between(first, worst, share))
            if now <= 0:
                return _between(first, worst, before + (share - before) * last / (last - now) if last > 0 else before)
            before, last = share, now
        return dict(worst)

    def _changes(self, account: ClientAccount, currency: str, first: Marks, worst: Marks) -> list[Decimal]:
        """Where on the way a position comes into another tier, in order; the end is the last."""
        found = {Decimal(1)}
        for listing, position in self._margin.held(account, currency):
            begin, end = first[listing.rules.symbol], worst[listing.rules.symbol]
            for tier in listing.rules.margin_tiers if begin != end else ():
                share = (tier.notional_from / abs(position.size) - begin) / (end - begin)
                if 0 < share < 1:
                    found.add(share)
        return sorted(found)

    def _close(self, account: ClientAccount, currency: str, marks: Marks) -> None:
        held: list[tuple[Listing, Decimal]] = [(x, p.size) for x, p in self._margin.held(account, currency)]
        equity, needed = self._margin.equity(account, currency, marks), self._margin.maintenance(account, currency, marks)
        value = sum((abs(size) * marks[x.rules.symbol] for x, size in held), ZERO)
        share = min(self._fee, max(equity, ZERO) / value)
        self._exchange.cancel_all(account.name, [s for s, x in self._exchange.listings.items() if x.rules.settle == currency])
        for listing, size in held:
            symbol, side = listing.rules.symbol, Side.SELL if size > 0 else Side.BUY
            self._exchange.force(account.name, symbol, side, abs(size), marks[symbol], Origin.LIQUIDATION, share)
        self._cover(account, currency, equity, needed)

    def _cover(self, account: ClientAccount, currency: str, equity: Decimal, needed: Decimal) -> None:
        short = max(-account.total(currency), ZERO)
        if short:
            account.receive(currency, short)
            account.insured[currency] = account.insured.get(currency, ZERO) + short
        now = self._exchange.now()
        self._exchange.publish(Liquidated(account.name, currency, equity, needed, short, now))
        self._exchange.publish(BalancesChanged(account.name, (currency,), now))


def _between(first: Marks, worst: Marks, share: Decimal) -> dict[str, Decimal]:
    return {symbol: begin + (worst[symbol] - begin) * share for symbol, begin in first.items()}
