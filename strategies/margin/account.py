"""A cross-margin account: one wallet in the settle currency, and a position in each of several linear perpetuals.

    equity         = wallet + sum of size * (mark - entry)
    initial margin = sum of |size| * mark / leverage
    free margin    = equity - initial margin, at least zero
    funding        = -size * mark * rate at its settlement, for what is held before orders of that moment are filled

Sizes are in base units, negative for a short; prices and amounts in the settle currency. Every amount is worked out in the order that is
written here, so that all who use it get the same last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.margin.tiers import TierTable

_NOISE: Final = 1e-9  # of the equity: as much may be missing after sums of floats


@dataclass(slots=True)
class Stake:
    """The account's position in one symbol: units, average entry price, and the newest mark price."""

    rules: MarketRules
    tiers: TierTable
    size: float = 0.0
    entry: float = 0.0
    mark: float = 0.0

    @classmethod
    def of(cls, rules: MarketRules) -> Stake:
        return cls(rules, TierTable.of(rules.margin_tiers))

    @property
    def notional(self) -> float:
        return abs(self.size) * self.mark


@dataclass(slots=True)
class Tally:
    """What moved the wallet since the account was opened. Funding is received above zero, paid below it, apart by the side held."""

    deposited: float = 0.0
    realised_long: float = 0.0
    realised_short: float = 0.0
    maker_fees: float = 0.0
    taker_fees: float = 0.0
    liquidation_fees: float = 0.0
    funding_long: float = 0.0
    funding_short: float = 0.0
    liquidations: int = 0
    insured: float = 0.0  # losses beyond the wallet, which the venue's insurance fund bears

    @property
    def balance(self) -> float:
        """What the wallet must hold."""
        earned = self.realised_long + self.realised_short + self.funding_long + self.funding_short
        return self.deposited + earned - self.maker_fees - self.taker_fees - self.liquidation_fees + self.insured


@dataclass(slots=True)
class MarginAccount:
    """Wallet, stakes and tally. `leverage` is the largest at which positions are opened."""

    wallet: float
    leverage: float
    stakes: Sequence[Stake]
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.tally.deposited = self.wallet

    def unrealised(self) -> float:
        total = 0.0
        for stake in self.stakes:
            if stake.size:
                total += stake.size * (stake.mark - stake.entry)
        return total

    def equity(self) -> float:
        return self.wallet + self.unrealised()

    def value(self) -> float:
        """What all positions are worth, shorts below zero."""
        total = 0.0
        for stake in self.stakes:
            if stake.size:
                total += stake.size * stake.mark
        return total

    def notional(self) -> float:
        """What all positions are worth, whatever their side."""
        total = 0.0
        for stake in self.stakes:
            if stake.size:
                total += abs(stake.size) * stake.mark
        return total

    def maintenance(self) -> float:
        total = 0.0
        for stake in self.stakes:
            if stake.size:
                total += stake.tiers.maintenance(abs(stake.size) * stake.mark)
        return total

    def free(self) -> float:
        return max(self.equity() - self.notional() / self.leverage, 0.0)

    def deposit(self, amount: float) -> None:
        self.wallet += amount
        self.tally.deposited += amount

    def fund(self, stake: Stake, mark: float, rate: float) -> float:
        """Settle one funding payment; what the account received."""
        if not stake.size:
            return 0.0
        received = -stake.size * mark * rate
        self.wallet += received
        if stake.size > 0.0:
            self.tally.funding_long += received
        else:
            self.tally.funding_short += received
        return received

    def refusal(self, stake: Stake, change: float, price: float, fee: float, *, promised: float = 0.0) -> str:
        """Why `change` units at `price` cannot be taken; "" where they can, as always where they only close.

        Args:
            promised: margin and fees of other orders that come before this one.
        """
        closed, opened = split(stake.size, change)
        if not opened:
            return ""
        quote, worth = stake.rules.settle, abs(stake.size + change) * stake.mark
        if worth > stake.tiers.largest(self.leverage):
            return f"a position of {worth:,.2f} {quote} is above what {stake.rules.symbol} allows at leverage {self.leverage:g}"
        equity = self.equity() + -closed * (price - stake.mark) + opened * (stake.mark - price) - fee
        needed = (self.notional() + (abs(stake.size + change) - abs(stake.size)) * stake.mark) / self.leverage + promised
        if equity - needed >= -_NOISE * abs(equity):
            return ""
        return f"not enough free margin: {needed:,.2f} {quote} are needed at leverage {self.leverage:g}, and the account has {equity:,.2f}"

    def settle(self, stake: Stake, change: float, price: float, fee: float, *, maker: bool = False) -> float:
        """Book an execution of `change` units; the gain of what it closed, fee not taken off."""
        closed, opened = split(stake.size, change)
        gain = -closed * (price - stake.entry) if closed else 0.0
        self.wallet += gain
        self.wallet -= fee
        if stake.size > 0.0:
            self.tally.realised_long += gain
        else:
            self.tally.realised_short += gain
        if maker:
            self.tally.maker_fees += fee
        else:
            self.tally.taker_fees += fee
        before, stake.size = stake.size, stake.size + change
        if not stake.size:
            stake.entry = 0.0
        elif not before or before * stake.size < 0.0:
            stake.entry = price
        elif opened:
            stake.entry = (stake.entry * before + change * price) / stake.size
        return gain


class Admission:
    """The margin promised to orders that arrive together: each must be payable at the price it was made at, after those before it."""

    def __init__(self, account: MarginAccount) -> None:
        self._account = account
        self._promised = 0.0

    def refusal(self, stake: Stake, change: float, price: float, fee: float, *, at_market: bool) -> str:
        """Why the order cannot be taken; "" where it was. What a market order closes frees its margin for those after it."""
        account = self._account
        why = account.refusal(stake, change, price, fee, promised=self._promised)
        closed, opened = split(stake.size, change)
        if not why:
            self._promised += abs(opened) * stake.mark / account.leverage + fee if opened else 0.0
            self._promised -= abs(closed) * stake.mark / account.leverage if closed and at_market else 0.0
        return why


def split(size: float, change: float) -> tuple[float, float]:
    """How much of `change` closes a position of `size`, and how much opens one; both signed as `change`."""
    if not size or (size > 0.0) == (change > 0.0):
        return 0.0, change
    if abs(change) <= abs(size):
        return change, 0.0
    return -size, change + size
