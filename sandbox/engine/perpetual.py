"""Linear perpetuals: positions instead of coins, shorts, and cross margin in the settle currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder, Origin
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.orders.settlement import Exchanged, Fees, Settlement, floored, rounded


@dataclass(frozen=True)
class Perpetual:
    """One-way positions. Fees and gains are always in the settle currency.

    Args:
        liquidation_fee: share of the value that a liquidation costs instead of the usual fee.
    """

    fees: Fees
    margin: CrossMargin
    liquidation_fee: Decimal = ZERO

    def hold(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> tuple[str, Decimal]:
        """The margin and the fee of the part that opens, less the margin that the part that closes sets free.

        What the account lacks where the limit is worse than the mark is in it.
        """
        if account.mode.hedged:
            raise OrderRefused(RefusalReason.POSITION_MODE)
        at = order.request.limit_price or order.request.stop_price or price
        position = account.position(rules.symbol)
        closing, opening = split(position, order.request.side, order.remaining)
        if order.request.reduce_only or not opening:
            return rules.settle, ZERO
        signed = order.remaining if order.request.side is Side.BUY else -order.remaining
        self.margin.check_leverage(account, rules.symbol, position.size + signed)
        needed = opening * self._share(account, order, rules, at) - self._freed(account, rules, closing)
        return rules.settle, rounded(max(needed, ZERO))

    def settle(
        self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, size: Decimal, maker: bool
    ) -> Exchanged:
        position = account.position(rules.symbol)
        closing, opening = split(position, order.request.side, size)
        quote = rounded(price * size)
        fee = rounded(quote * self._fee_rate(order, maker))
        gain = rounded(closing * (price - position.entry)) * (1 if position.size > 0 else -1)
        account.receive(rules.settle, gain - fee)
        _move(position, size if order.request.side is Side.BUY else -size, price, closing, opening)
        position.realised += gain - fee
        return Exchanged(quote, fee, rules.settle, gain)

    def affordable(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, maker: bool) -> Decimal:
        closing, opening = split(account.position(rules.symbol), order.request.side, order.remaining)
        if order.request.reduce_only or not opening:
            return closing
        if maker and order.locked:  # an order that rests has its margin set aside, whatever other positions lose meanwhile
            return closing + opening
        free = account.available(rules.settle) + (order.locked if order.lock_asset == rules.settle else ZERO)
        free += self._freed(account, rules, closing)
        return closing + min(opening, floored(max(free, ZERO) / self._share(account, order, rules, price), rules.step))

    def _share(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> Decimal:
        """What opening one unit at `price` takes of what is free: margin at the mark, fee, and the loss that it begins with."""
        mark = self.margin.listings[rules.symbol].mark
        loss = price - mark if order.request.side is Side.BUY else mark - price
        return mark / self.margin.leverage(account, rules.symbol) + price * self.fees.taker + max(loss, ZERO)

    def _freed(self, account: ClientAccount, rules: MarketRules, closing: Decimal) -> Decimal:
        """The margin of a part of the position that is closed."""
        return closing * self.margin.listings[rules.symbol].mark / self.margin.leverage(account, rules.symbol)

    def _fee_rate(self, order: ExchangeOrder, maker: bool) -> Decimal:
        return self.liquidation_fee if order.request.origin is Origin.LIQUIDATION else self.fees.rate(maker)


@dataclass(frozen=True)
class BySymbol:
    """Spot rules for spot symbols, margin rules for perpetuals."""

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
        return self.perpetual if rules.is_perpetual else self.spot


def split(position: PerpetualPosition, side: Side, size: Decimal) -> tuple[Decimal, Decimal]:
    """The sizes by which an execution closes the position and opens a new one."""
    against = position.size < 0 if side is Side.BUY else position.size > 0
    closing = min(abs(position.size), size) if against else ZERO
    return closing, size - closing


def _move(position: PerpetualPosition, signed: Decimal, price: Decimal, closing: Decimal, opening: Decimal) -> None:
    if opening:
        kept = abs(position.size) if not closing else ZERO
        position.entry = (position.entry * kept + price * opening) / (kept + opening)
    position.size += signed
    if not position.size:
        position.entry = ZERO
