"""Cross margin: what an account is worth, and the margin that its positions need, by currency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.core.types import MarginTier, MarketRules
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


def unrealised(position: PerpetualPosition, mark: Decimal) -> Decimal:
    return position.size * (mark - position.entry)


def tier_of(rules: MarketRules, notional: Decimal) -> MarginTier:
    """The tier that a position of this value is in: the last one that it is above, the first one included."""
    return next((tier for tier in reversed(rules.margin_tiers) if notional > tier.notional_from), rules.margin_tiers[0])


def maintenance(rules: MarketRules, size: Decimal, mark: Decimal) -> Decimal:
    """Below this the position is liquidated."""
    notional = abs(size) * mark
    tier = tier_of(rules, notional)
    return notional * tier.maintenance_rate - tier.maintenance_amount if size else ZERO


@dataclass(frozen=True)
class CrossMargin:
    """The sums over an account's positions. Every position in a currency stands in for every other one.

    Args:
        usual: the leverage of a symbol for which the account has set none.
    """

    listings: Mapping[str, Listing]
    usual: Decimal

    def held(self, account: ClientAccount, currency: str) -> Iterator[tuple[Listing, PerpetualPosition]]:
        for symbol, position in account.positions.items():
            listing = self.listings[symbol]
            if position.size and listing.rules.settle == currency:
                yield listing, position

    def leverage(self, account: ClientAccount, symbol: str) -> Decimal:
        """As the account has set it, never above what the tiers of the symbol allow at all."""
        return min(account.position(symbol).leverage or self.usual, self.listings[symbol].rules.margin_tiers[0].max_leverage)

    def initial(self, account: ClientAccount, currency: str) -> Decimal:
        """The margin that the positions tie up, at the mark."""
        tied = (abs(p.size) * x.mark / self.leverage(account, x.rules.symbol) for x, p in self.held(account, currency))
        return sum(tied, ZERO)

    def maintenance(self, account: ClientAccount, currency: str, marks: Mapping[str, Decimal] | None = None) -> Decimal:
        needed = (maintenance(x.rules, p.size, _mark(x, marks)) for x, p in self.held(account, currency))
        return sum(needed, ZERO)

    def floating(self, account: ClientAccount, currency: str, marks: Mapping[str, Decimal] | None = None) -> Decimal:
        """The unrealised profit, at the mark or at other prices by symbol."""
        return sum((unrealised(p, _mark(x, marks)) for x, p in self.held(account, currency)), ZERO)

    def equity(self, account: ClientAccount, currency: str, marks: Mapping[str, Decimal] | None = None) -> Decimal:
        return account.total(currency) + self.floating(account, currency, marks)

    def usable(self, account: ClientAccount, currency: str) -> Decimal:
        """What the positions add to the free balance that orders may use."""
        return self.floating(account, currency) - self.initial(account, currency) if account.positions else ZERO

    def check_leverage(self, account: ClientAccount, symbol: str, size: Decimal) -> None:
        """Raises OrderRefused where a position of `size` is above the tier that the leverage of its symbol allows."""
        listing = self.listings[symbol]
        if self.leverage(account, symbol) > tier_of(listing.rules, abs(size) * listing.mark).max_leverage:
            raise OrderRefused(RefusalReason.LEVERAGE)

    def set_leverage(self, account: ClientAccount, symbol: str, leverage: Decimal) -> None:
        """Raises OrderRefused, with nothing changed, for one that the tiers do not allow, or that lacks the margin."""
        position, rules = account.position(symbol), self.listings[symbol].rules
        if not 1 <= leverage <= rules.margin_tiers[0].max_leverage:
            raise OrderRefused(RefusalReason.LEVERAGE_RANGE)
        before, position.leverage = position.leverage, leverage
        try:
            self.check_leverage(account, symbol, position.size)
            if position.size and account.available(rules.settle) < 0:
                raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        except OrderRefused:
            position.leverage = before
            raise


def _mark(listing: Listing, marks: Mapping[str, Decimal] | None) -> Decimal:
    return listing.mark if marks is None else marks.get(listing.rules.symbol, listing.mark)
