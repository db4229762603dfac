"""Orders that depend on each other: one cancels the other, one triggers the others."""

from __future__ import annotations

from dataclasses import dataclass, field

from forwardtrader.sandbox.orders.order import ExchangeOrder


@dataclass(slots=True)
class OrderList:
    """`legs` cancel each other. A `working` order, if there is one, must fill before they enter the market."""

    id: int
    account: str
    symbol: str
    client_id: str
    placed_at: int
    working: ExchangeOrder | None = None
    legs: list[ExchangeOrder] = field(default_factory=list)
    done: bool = False

    @property
    def orders(self) -> list[ExchangeOrder]:
        return ([self.working] if self.working else []) + self.legs

    def siblings(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """The orders that die when `order` deals or dies: all others, unless it is the working one."""
        return [leg for leg in self.legs if leg is not order and leg.is_open] if order is not self.working else []
