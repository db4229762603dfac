"""A listed symbol: the filters that an order must pass, and its last day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.listing import breach, last_day
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.refusal import RefusalReason
from tests.sandbox.orders.made_orders import MINUTE, RULES, candle, listing, new_order

BUY = Side.BUY
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
CASES: list[tuple[Any, RefusalReason | None]] = [
    ((LIMIT, BUY, 1, 100), None),
    ((LIMIT, BUY, 1, 100.001), RefusalReason.PRICE_FILTER),
    ((LIMIT, BUY, 1, 0), RefusalReason.PRICE_FILTER),
    ((STOP, BUY, 1, None, 100.005), RefusalReason.PRICE_FILTER),
    ((LIMIT, BUY, 0.0001, 100_000), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 1.0005, 100), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 0.04, 100), RefusalReason.NOTIONAL),
    ((LIMIT, BUY, 101, 100), None),
    ((MARKET, BUY, 101), RefusalReason.MARKET_LOT_SIZE),
    ((MARKET, BUY, 0.04), RefusalReason.NOTIONAL),
]


@pytest.mark.parametrize(("request_", "reason"), CASES, ids=str)
def test_the_first_failed_filter_is_the_reason(request_: Any, reason: RefusalReason | None) -> None:
    assert breach(new_order(*request_), RULES, Decimal(100)) is reason


def test_an_order_sized_in_quote_units_is_checked_by_its_value() -> None:
    assert breach(new_order(MARKET, BUY, 0, quote_size=Decimal(5)), RULES, Decimal(100)) is None
    assert breach(new_order(MARKET, BUY, 0, quote_size=Decimal("4.99")), RULES, Decimal(100)) is RefusalReason.NOTIONAL


def test_a_symbol_is_open_with_a_running_bar_that_is_not_halted() -> None:
    held = listing(100)
    assert not held.is_open
    held.bar = candle(100, 101, 99, 100)
    assert held.is_open
    held.halted = True
    assert not held.is_open


def test_the_last_day_has_24_hours_with_the_running_candle() -> None:
    held = listing(100, closed=2000)
    assert last_day(held).volume == 1440
    held.candles.running = candle(100, 130, 90, 120, start=2000 * MINUTE, volume=7)
    day = last_day(held)
    assert (day.high, day.low, day.close, day.volume) == (130, 90, 120, 1439 + 7)
