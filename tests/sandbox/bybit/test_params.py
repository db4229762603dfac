"""Request parameters of the Bybit protocol are parsed and validated as at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit.errors import BybitError
from forwardtrader.sandbox.bybit.params import decimal, integer, read_order, text
from forwardtrader.sandbox.orders.order import NewOrder, OrderType, TimeInForce

LAST = Decimal(100)
LIMIT = {"side": "Buy", "orderType": "Limit", "qty": "2", "price": "99.5", "orderLinkId": "mine"}
MARKET = {"side": "Buy", "orderType": "Market", "qty": "50"}


def read(params: dict[str, Any], symbol: str = "BTC/USDT") -> NewOrder:
    return read_order(params, symbol, LAST, "default")


def test_a_limit_order_is_read() -> None:
    order = read(LIMIT | {"timeInForce": "IOC"})
    assert (order.side, order.type, order.size, order.limit_price) == (Side.BUY, OrderType.LIMIT, 2, Decimal("99.5"))
    assert (order.tif, order.client_id, order.reduce_only) == (TimeInForce.IOC, "mine", False)
    assert read(LIMIT | {"timeInForce": "PostOnly"}).type is OrderType.LIMIT_MAKER


def test_a_spot_market_buy_is_sized_in_quote_units_unless_it_says_otherwise() -> None:
    assert (read(MARKET).quote_size, read(MARKET).size) == (50, 0)
    assert (read(MARKET | {"marketUnit": "baseCoin"}).quote_size, read(MARKET | {"side": "Sell"}).size) == (None, 50)
    assert read(MARKET, "BTC/USDT:USDT").size == 50


@pytest.mark.parametrize(
    ("side", "trigger", "kind"),
    [
        ("Buy", "110", OrderType.STOP), ("Buy", "90", OrderType.TAKE_PROFIT), ("Sell", "110", OrderType.TAKE_PROFIT),
        ("Sell", "90", OrderType.STOP),
    ],
)  # fmt: skip
def test_a_trigger_is_a_stop_or_a_take_profit_by_its_side_of_the_market(side: str, trigger: str, kind: OrderType) -> None:
    assert read(MARKET | {"side": side, "triggerPrice": trigger}).type is kind


def test_the_trigger_direction_overrides_the_side_of_the_market() -> None:
    assert read(MARKET | {"triggerPrice": "110", "triggerDirection": 2}).type is OrderType.TAKE_PROFIT


@pytest.mark.parametrize(
    "change",
    [{"side": "Hold"}, {"orderType": "Stop"}, {"price": ""}, {"price": "1e2"}, {"qty": "0"}, {"qty": ""}, {"timeInForce": "DAY"},
     {"takeProfit": "120"}, {"orderLinkId": "a b"}, {"side": ""}],
    ids=str,
)  # fmt: skip
def test_an_invalid_order_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(BybitError) as caught:
        read(LIMIT | change)
    assert caught.value.code == 10001


def test_values_are_absent_or_of_their_kind() -> None:
    assert (decimal({"x": ""}, "x"), decimal({"x": 1.5}, "x"), integer({}, "x"), integer({"x": "7"}, "x")) == (
        None,
        Decimal("1.5"),
        None,
        7,
    )
    for call, value in ((decimal, True), (decimal, [1]), (integer, "-1"), (integer, "٣"), (text, "")):
        with pytest.raises(BybitError):
            call({"x": value}, "x")
