"""Balances with locks: what an account has, and what its open orders hold back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


@dataclass(slots=True)
class PerpetualPosition:
    """A perpetual's position: `size` is below zero for a short; `entry` the average price, `margin` what it ties up in quote units."""

    size: Decimal = ZERO
    entry: Decimal = ZERO
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    funding: Decimal = ZERO


class ClientAccount:
    """One client's coins. Amounts never fall below zero: whatever would do so is refused before anything changes."""

    def __init__(self, name: str, balances: Mapping[str, Decimal]) -> None:
        self.name = name
        self.free: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}
        self.positions: dict[str, PerpetualPosition] = {}
        self.insured: dict[str, Decimal] = {}  # losses beyond the balance, borne by the venue

    def position(self, symbol: str) -> PerpetualPosition:
        return self.positions.setdefault(symbol, PerpetualPosition())

    def available(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def assets(self) -> list[str]:
        return sorted(self.free.keys() | self.locked.keys())

    def lock(self, asset: str, amount: Decimal) -> None:
        """Hold back `amount`.

        Raises:
            OrderRefused: less than that is free.
        """
        if self.available(asset) < amount:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        self.free[asset] = self.available(asset) - amount
        self.locked[asset] = self.locked.get(asset, ZERO) + amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        self.locked[asset] -= amount
        self.free[asset] = self.available(asset) + amount

    def spend(self, asset: str, amount: Decimal) -> None:
        """Take `amount` of what is free.

        Raises:
            OrderRefused: less than that is free.
        """
        if self.available(asset) < amount:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        self.free[asset] = self.available(asset) - amount

    def receive(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.available(asset) + amount
