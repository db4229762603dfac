"""Hand-made orders, candles and listings for tests without a running exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.sandbox.orders.candle import Candle, CandleBook
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ExchangeOrder, NewOrder, OrderType

MINUTE = 60_000
RULES = MarketRules(
    symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.001"), min_size=Decimal("0.001"),
    min_notional=Decimal(5), max_market_size=Decimal(100),
)  # fmt: skip


def number(value: float | str | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def candle(open_: float, high: float, low: float, close: float, *, start: int = 0, volume: float = 1) -> Candle:
    return Candle(start, *(Decimal(str(value)) for value in (open_, high, low, close, volume)))


def new_order(kind: OrderType, side: Side, size: float = 1, limit: float | None = None, stop: float | None = None, **more: Any) -> NewOrder:
    return NewOrder(
        symbol="BTC/USDT", side=side, type=kind, size=Decimal(str(size)), limit_price=number(limit), stop_price=number(stop), **more
    )  # fmt: skip


def order(
    kind: OrderType, side: Side, size: float = 1, limit: float | None = None, stop: float | None = None, **more: Any
) -> ExchangeOrder:
    request = new_order(kind, side, size, limit, stop, **more)
    return ExchangeOrder(1, "main", request, request.size, 0, 0)


def listing(last: float, *, closed: int = 0) -> Listing:
    """A symbol whose last price is `last`, after `closed` one-minute candles at that price."""
    history = [candle(last, last, last, last, start=n * MINUTE) for n in range(closed)]
    return Listing(RULES, CandleBook(MINUTE, history), last=Decimal(str(last)))
