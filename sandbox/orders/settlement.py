"""Settlement: the balance an order locks, and what is exchanged when it fills on a spot market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final, Protocol

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder

CENT: Final = Decimal("0.00000001")  # the smallest unit of a balance


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def floored(amount: Decimal, step: Decimal) -> Decimal:
    return (amount // step) * step


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The amounts of one execution: `quote` paid for the base asset, the fee, and what closing a position gained before it."""

    quote: Decimal
    fee: Decimal
    fee_asset: str
    gain: Decimal = ZERO


@dataclass(frozen=True)
class Fees:
    """Rates as fractions. `asset` is "received", "quote" or a coin; `coin_price` gives the coin's price in a quote currency."""

    maker: Decimal
    taker: Decimal
    asset: str
    coin_price: Callable[[str, str], Decimal | None]

    def rate(self, maker: bool) -> Decimal:
        return self.maker if maker else self.taker

    def in_quote(self, side: Side) -> bool:
        """Whether this side pays its fee in the quote currency, where it is not paid in a coin."""
        return self.asset == "quote" or side is Side.SELL


class Settlement(Protocol):
    """Settlement of one kind of market: `Spot` exchanges assets, `Perpetual` changes a position and its margin."""

    def hold(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> tuple[str, Decimal]:
        """Asset and amount to lock for the rest of the order, at `price` where it names none."""
        ...

    def settle(
        self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, size: Decimal, maker: bool
    ) -> Exchanged:
        """Book one execution. Raises OrderRefused, with nothing changed, where the account cannot pay."""
        ...

    def affordable(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, maker: bool) -> Decimal:
        """The largest size on the grid that the account can pay for at `price`."""
        ...


@dataclass(frozen=True)
class Spot:
    """Spot settlement: asset against asset, no short selling."""

    fees: Fees

    def hold(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal) -> tuple[str, Decimal]:
        if order.request.side is Side.SELL:
            return rules.base, order.remaining
        at = order.request.limit_price or order.request.stop_price or price
        return rules.quote, _up(at * order.remaining * (1 + self._quote_rate()))

    def settle(
        self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, size: Decimal, maker: bool
    ) -> Exchanged:
        quote = rounded(price * size)
        fee, asset = self._fee(account, order.request.side, rules, quote, size, maker)
        if order.request.side is Side.BUY:
            account.spend(rules.quote, quote + (fee if asset == rules.quote else ZERO))
            account.receive(rules.base, size - (fee if asset == rules.base else ZERO))
        else:
            account.spend(rules.base, size)
            account.receive(rules.quote, quote - (fee if asset == rules.quote else ZERO))
        if asset not in (rules.base, rules.quote):
            account.spend(asset, fee)
        return Exchanged(quote, fee, asset)

    def affordable(self, account: ClientAccount, order: ExchangeOrder, rules: MarketRules, price: Decimal, maker: bool) -> Decimal:
        if order.request.side is Side.SELL:
            return floored(account.available(rules.base) + _held(order, rules.base), rules.step)
        free = account.available(rules.quote) + _held(order, rules.quote)
        return floored(free / (price * (1 + self._quote_rate())), rules.step)

    def _quote_rate(self) -> Decimal:
        return max(self.fees.taker, self.fees.maker) if self.fees.asset == "quote" else ZERO

    def _fee(
        self, account: ClientAccount, side: Side, rules: MarketRules, quote: Decimal, size: Decimal, maker: bool
    ) -> tuple[Decimal, str]:
        rate = self.fees.rate(maker)
        coin = self.fees.asset
        if coin not in ("received", "quote", rules.base, rules.quote):
            price = self.fees.coin_price(coin, rules.quote)
            if price and account.available(coin) >= (fee := rounded(quote * rate / price)):
                return fee, coin
        if self.fees.in_quote(side):
            return rounded(quote * rate), rules.quote
        return rounded(size * rate), rules.base


def _held(order: ExchangeOrder, asset: str) -> Decimal:
    return order.locked if order.lock_asset == asset else ZERO


def _up(amount: Decimal) -> Decimal:
    lower = amount.quantize(CENT, rounding=ROUND_DOWN)
    return lower if lower == amount else lower + CENT
