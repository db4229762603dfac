"""Balances: free, and locked by open orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


@dataclass(slots=True)
class PerpetualPosition:
    """Position in a perpetual, in base units.

    Attributes:
        size: negative for a short.
        entry: the average price.
        realised, funding: quote units gained so far, fees taken off.
        leverage: that the account has set for the symbol; 0 for the venue's own.
        margin: what versions before cross margin kept apart from the balance; 0 in this one.
    """

    size: Decimal = ZERO
    entry: Decimal = ZERO
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    funding: Decimal = ZERO
    leverage: Decimal = ZERO


@dataclass(slots=True)
class AccountMode:
    """How perpetuals are held: `hedged` has a long and a short side of each, `isolated` margin of its own for each."""

    hedged: bool = False
    isolated: bool = False


class ClientAccount:
    """Balances and positions of one client.

    No balance of spot falls below zero: such a change is refused before anything is booked. Cross margin may take one below it for a
    while, as long as what positions have gained covers it.

    Args:
        floating: what positions add to a balance that orders may use: their unrealised profit, less their margin.
    """

    def __init__(self, name: str, balances: Mapping[str, Decimal], floating: Floating | None = None) -> None:
        self.name = name
        self.free: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}
        self.positions: dict[str, PerpetualPosition] = {}
        self.insured: dict[str, Decimal] = {}  # losses beyond the balance, borne by the insurance fund
        self.mode = AccountMode()
        self.floating: Floating = floating or no_positions

    def position(self, symbol: str) -> PerpetualPosition:
        return self.positions.setdefault(symbol, PerpetualPosition())

    def available(self, asset: str) -> Decimal:
        """What new orders may use."""
        return self.free.get(asset, ZERO) + self.floating(self, asset)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def assets(self) -> list[str]:
        return sorted(self.free.keys() | self.locked.keys())

    def lock(self, asset: str, amount: Decimal) -> None:
        """Lock `amount`.

        Raises:
            OrderRefused: less than that is free; nothing is always free, also where positions have lost more than their margin.
        """
        if amount and self.available(asset) < amount:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        self.free[asset] = self.free.get(asset, ZERO) - amount
        self.locked[asset] = self.locked.get(asset, ZERO) + amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        self.locked[asset] -= amount
        self.receive(asset, amount)

    def spend(self, asset: str, amount: Decimal) -> None:
        """Deduct `amount` from the free balance.

        Raises:
            OrderRefused: less than that is free.
        """
        if min(self.available(asset), self.free.get(asset, ZERO)) < amount:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        self.receive(asset, -amount)

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add `amount`; a negative one is a loss or a fee of a position."""
        self.free[asset] = self.free.get(asset, ZERO) + amount


def no_positions(account: ClientAccount, asset: str) -> Decimal:
    """The part of positions in an account that has none."""
    return ZERO


Floating: TypeAlias = Callable[[ClientAccount, str], Decimal]
