"""Orders and executions in the engine's own terms, independent of any protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from forwardtrader.core.types import Side

ZERO: Final = Decimal(0)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    LIMIT_MAKER = "limit maker"
    STOP = "stop"
    STOP_LIMIT = "stop limit"
    TAKE_PROFIT = "take profit"
    TAKE_PROFIT_LIMIT = "take profit limit"


WITH_LIMIT: Final = frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
WITH_TRIGGER: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
TAKE_PROFITS: Final = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})


class Origin(StrEnum):
    """Who made an order."""

    CLIENT = ""
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"
    DELISTING = "delisting"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(StrEnum):
    HELD = "held"  # a leg of an order list, not yet active
    NEW = "new"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN: Final = frozenset({Status.HELD, Status.NEW, Status.PARTIAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class NewOrder:
    """An order request. Sizes are in base units; `quote_size` replaces `size` in a market order sized in quote units."""

    symbol: str
    side: Side
    type: OrderType
    size: Decimal = ZERO
    quote_size: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    client_id: str = ""
    reduce_only: bool = False
    origin: Origin = Origin.CLIENT


@dataclass(slots=True, eq=False)
class ExchangeOrder:
    """An accepted order and its state. Times are milliseconds UTC of the market's clock; `locked` is the balance it locks."""

    id: int
    account: str
    request: NewOrder
    size: Decimal
    placed_at: int
    updated_at: int
    status: Status = Status.NEW
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    locked: Decimal = ZERO
    lock_asset: str = ""
    triggered: bool = False
    rests_until: int = -1  # bar mode: a leg sits out the bar (of this open time) in which its working order filled
    cancel_id: str = ""
    list_id: int | None = None
    turned_away: bool = False  # post-only, accepted, and cancelled at once since it would have taken
    trades: list[Trade] = field(default_factory=list)

    @property
    def remaining(self) -> Decimal:
        return self.size - self.filled

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def average(self) -> Decimal:
        return self.quote_filled / self.filled if self.filled else ZERO


@dataclass(frozen=True, kw_only=True, slots=True)
class Trade:
    """One execution of one order; `fee` is in `fee_asset`, `at` in milliseconds UTC of the market's clock."""

    id: int
    order_id: int
    account: str
    symbol: str
    side: Side
    price: Decimal
    size: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    at: int
    maker: bool
    gain: Decimal = ZERO  # of a perpetual: realised by what it closed, before the fee


@dataclass(frozen=True)
class OpenOrders:
    """Limits on an account's open orders of one symbol: all of them, and those with a trigger."""

    orders: int
    triggers: int
