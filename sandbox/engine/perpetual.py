"""Linear perpetuals: positions with margin instead of coins, shorts, funding and liquidation."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.orders.settlement import Exchanged, Fees, Settlement, floored, rounded

MAINTENANCE: Final = Decimal("0.005")  # of the position's value; below it the venue closes the position


@dataclass(frozen=True)
class Perpetual:
    """One-way positions, cross margin in the quote coin. Fees are always in the quote coin."""

    fees: Fees
    leverage: Decimal

    def hold(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> tuple[str, Decimal]:
        at = order.request.limit_price or order.request.stop_price or price
        _, opening = split(account.position(rules.symbol), order.request.side, order.remaining)
        margin = ZERO if order.request.reduce_only else at * opening * self._share()
        return rules.quote, rounded(margin)

    def settle(
        self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, size: Decimal, maker: bool
    ) -> Exchanged:
        position = account.position(rules.symbol)
        closing, opening = split(position, order.request.side, size)
        quote = rounded(price * size)
        fee = rounded(quote * self.fees.rate(maker))
        margin = rounded(price * opening / self.leverage)
        gain = rounded(closing * (price - position.entry)) * (1 if position.size > 0 else -1)
        freed = rounded(position.margin * closing / abs(position.size)) if closing else ZERO
        change = gain + freed - fee - margin
        if opening and account.available(rules.quote) + change < 0:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        absorb(account, rules.quote, change)
        signed = size if order.request.side is Side.BUY else -size
        _move(position, signed, price, closing, opening, margin - freed)
        position.realised += gain - fee
        return Exchanged(quote, fee, rules.quote)

    def affordable(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, maker: bool) -> Decimal:
        closing, opening = split(account.position(rules.symbol), order.request.side, order.remaining)
        if order.request.reduce_only:
            return closing
        free = account.available(rules.quote) + (order.locked if order.lock_asset == rules.quote else ZERO)
        return closing + min(opening, floored(max(free, ZERO) / (price * self._share()), rules.step))

    def _share(self) -> Decimal:
        return 1 / self.leverage + self.fees.taker


@dataclass(frozen=True)
class BySymbol:
    """Spot rules for spot symbols, margin rules for those that can be sold short."""

    spot: Settlement
    perpetual: Settlement

    def hold(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> tuple[str, Decimal]:
        return self._for(rules).hold(account, order, rules, price)

    def settle(
        self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, size: Decimal, maker: bool
    ) -> Exchanged:
        return self._for(rules).settle(account, order, rules, price, size, maker)

    def affordable(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, maker: bool) -> Decimal:
        return self._for(rules).affordable(account, order, rules, price, maker)

    def _for(self, rules: MarketRules) -> Settlement:
        return self.perpetual if rules.can_short else self.spot


def split(position: PerpetualPosition, side: Side, size: Decimal) -> tuple[Decimal, Decimal]:
    """The sizes by which an execution closes the position and opens a new one."""
    against = position.size < 0 if side is Side.BUY else position.size > 0
    closing = min(abs(position.size), size) if against else ZERO
    return closing, size - closing


def absorb(account: ClientAccount, asset: str, change: Decimal) -> None:
    """Book a gain or loss; the insurance fund bears what a loss exceeds the balance by."""
    if change >= 0:
        account.receive(asset, change)
        return
    loss = min(-change, max(account.available(asset), ZERO))
    account.spend(asset, loss)
    account.insured[asset] = account.insured.get(asset, ZERO) - change - loss


def unrealised(position: PerpetualPosition, mark: Decimal) -> Decimal:
    return position.size * (mark - position.entry)


def pay_funding(account: ClientAccount, rules: MarketRules, mark: Decimal, rate: Decimal) -> Decimal:
    """Longs pay shorts `rate` of their position value, or the reverse if it is negative; returns the amount this account received."""
    received = -rounded(account.position(rules.symbol).size * mark * rate)
    absorb(account, rules.quote, received)
    account.position(rules.symbol).funding += received
    return received


def must_liquidate(account: ClientAccount, quote: str, marks: dict[str, Decimal]) -> bool:
    """Whether the account's equity has fallen to the maintenance margin of its positions."""
    held = {symbol: position for symbol, position in account.positions.items() if position.size and symbol in marks}
    if not held:
        return False
    worth = account.total(quote) + sum((p.margin + unrealised(p, marks[s]) for s, p in held.items()), ZERO)
    return worth <= sum((abs(p.size) * marks[s] * MAINTENANCE for s, p in held.items()), ZERO)


def _move(position: PerpetualPosition, signed: Decimal, price: Decimal, closing: Decimal, opening: Decimal, margin: Decimal) -> None:
    if opening:
        kept = abs(position.size) if not closing else ZERO
        position.entry = (position.entry * kept + price * opening) / (kept + opening)
    position.size += signed
    position.margin += margin
    if not position.size:
        position.entry = position.margin = ZERO
