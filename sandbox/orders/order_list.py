"""Order lists: linked orders (OCO, OTO, OTOCO)."""

from __future__ import annotations

from dataclasses import dataclass, field

from forwardtrader.sandbox.orders.order import ExchangeOrder


@dataclass(slots=True)
class OrderList:
    """A list of linked orders: `legs` cancel each other; a `working` order, if any, must fill before they become active."""

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
        """The open legs that end when `order` fills or ends; none for the working order."""
        return [leg for leg in self.legs if leg is not order and leg.is_open] if order is not self.working else []
