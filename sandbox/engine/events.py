"""Events of the engine; each protocol translates them into its own messages. Times are milliseconds UTC of the market's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import ExchangeOrder, Trade


class ExecutionType(StrEnum):
    NEW = "new"
    TRADE = "trade"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was accepted, filled, cancelled or expired. `order` is the engine's own object: format it before returning."""

    order: ExchangeOrder
    execution: ExecutionType
    trade: Trade | None
    at: int


@dataclass(frozen=True, slots=True)
class BalancesChanged:
    account: str
    assets: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class BalanceMoved:
    """A deposit (positive) or withdrawal from outside."""

    account: str
    asset: str
    amount: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class ListChanged:
    """An order list was placed, or is done."""

    account: str
    list_id: int
    done: bool
    at: int


@dataclass(frozen=True, slots=True)
class CandleChanged:
    """A candle of the base interval was updated, or is `closed`."""

    symbol: str
    candle: Candle
    closed: bool
    at: int


@dataclass(frozen=True, slots=True)
class Printed:
    """A trade of the market itself, not of the account."""

    symbol: str
    trade_id: int
    price: Decimal
    size: Decimal
    buyer_made: bool
    at: int


@dataclass(frozen=True, slots=True)
class Funded:
    """Funding of a perpetual was settled; `received` is negative where the account paid."""

    account: str
    symbol: str
    size: Decimal
    mark: Decimal
    rate: Decimal
    received: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class Liquidated:
    """All positions in a currency were closed: `equity` had fallen to the `maintenance` margin; `insured` is what the balance lacked."""

    account: str
    currency: str
    equity: Decimal
    maintenance: Decimal
    insured: Decimal
    at: int


EngineEvent: TypeAlias = Funded | Liquidated | OrderChanged | BalancesChanged | BalanceMoved | ListChanged | CandleChanged | Printed
EventHandler: TypeAlias = Callable[[EngineEvent], None]
