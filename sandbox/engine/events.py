"""Facts the engine reports; each protocol puts them into its own messages."""

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
    """`order` is the engine's own object: format it before returning."""

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
    """An order list began, or is done."""

    account: str
    list_id: int
    done: bool
    at: int


@dataclass(frozen=True, slots=True)
class CandleChanged:
    """A base-interval candle moved (`closed` False) or ended."""

    symbol: str
    candle: Candle
    closed: bool
    at: int


@dataclass(frozen=True, slots=True)
class Printed:
    """A trade of the market itself, with the best prices after it."""

    symbol: str
    trade_id: int
    price: Decimal
    size: Decimal
    buyer_made: bool
    at: int


@dataclass(frozen=True, slots=True)
class Funded:
    """A perpetual's funding was settled; `received` is below zero where the account paid."""

    account: str
    symbol: str
    size: Decimal
    mark: Decimal
    rate: Decimal
    received: Decimal
    at: int


EngineEvent: TypeAlias = Funded | OrderChanged | BalancesChanged | BalanceMoved | ListChanged | CandleChanged | Printed
EventHandler: TypeAlias = Callable[[EngineEvent], None]
