"""Balances: free, and locked by open orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason


@dataclass(slots=True)
class PerpetualPosition:
    """Position in a perpetual: `size` is negative for a short, `entry` the average price, `margin` the locked quote units."""

    size: Decimal = ZERO
    entry: Decimal = ZERO
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    funding: Decimal = ZERO


class ClientAccount:
    """Balances and positions of one client. No balance falls below zero: such a change is refused before anything is booked."""

    def __init__(self, name: str, balances: Mapping[str, Decimal]) -> None:
        self.name = name
        self.free: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}
        self.positions: dict[str, PerpetualPosition] = {}
        self.insured: dict[str, Decimal] = {}  # losses beyond the balance, borne by the insurance fund

    def position(self, symbol: str) -> PerpetualPosition:
        return self.positions.setdefault(symbol, PerpetualPosition())

    def available(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO)

    def total(self, asset: str) -> Decimal:
        return self.free.get(asset, ZERO) + self.locked.get(asset, ZERO)

    def assets(self) -> list[str]:
        return sorted(self.free.keys() | self.locked.keys())

    def lock(self, asset: str, amount: Decimal) -> None:
        """Lock `amount`.

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
        """Deduct `amount` from the free balance.

        Raises:
            OrderRefused: less than that is free.
        """
        if self.available(asset) < amount:
            raise OrderRefused(RefusalReason.INSUFFICIENT_BALANCE)
        self.free[asset] = self.available(asset) - amount

    def receive(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.available(asset) + amount
