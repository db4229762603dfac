"""Request parameters of the Binance protocol are parsed and validated as at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.params import TYPES, Params, read_order, read_tif
from forwardtrader.sandbox.orders.order import OrderType, TimeInForce

LIMIT = {"side": "SELL", "type": "LIMIT", "timeInForce": "IOC", "quantity": "2", "price": "100.5", "newClientOrderId": "mine"}
MARKET = {"side": "BUY", "type": "MARKET"}


def test_a_limit_order_is_read() -> None:
    order = read_order(Params(LIMIT), "BTC/USDT", "default")
    assert (order.side, order.type, order.size, order.limit_price) == (Side.SELL, OrderType.LIMIT, 2, Decimal("100.5"))
    assert (order.tif, order.client_id, order.stop_price) == (TimeInForce.IOC, "mine", None)


def test_a_market_order_has_either_size_and_a_client_id_by_default() -> None:
    order = read_order(Params(MARKET | {"quoteOrderQty": "50"}), "BTC/USDT", "default")
    assert (order.quote_size, order.size, order.client_id) == (50, 0, "default")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (LIMIT | {"side": "HOLD"}, -1117),
        (LIMIT | {"type": "ICEBERG"}, -1116),
        (LIMIT | {"price": ""}, -1102),
        (LIMIT | {"price": "1e3"}, -1100),
        (LIMIT | {"stopPrice": "99"}, -1106),
        (LIMIT | {"timeInForce": "DAY"}, -1115),
        (LIMIT | {"newClientOrderId": "a b"}, -1100),
        (LIMIT | {"unknown": "1"}, -1104),
        (MARKET, -1102),
        (MARKET | {"quantity": "1", "quoteOrderQty": "1"}, -1128),
    ],
    ids=str,
)
def test_an_invalid_order_has_binances_code(sent: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as caught:
        read_order(Params(sent), "BTC/USDT", "default")
    assert caught.value.code == code


@pytest.mark.parametrize(("value", "result"), [("7", 7), (None, None), ("1001", -1130), ("x", -1100), ("-1", -1100), ("٣", -1100)])
def test_a_whole_number_has_a_range(value: str | None, result: Any) -> None:
    params = Params({} if value is None else {"limit": value})
    if result is not None and result < 0:
        with pytest.raises(ApiError) as caught:
            params.integer("limit", high=1000)
        assert caught.value.code == result
    else:
        assert params.integer("limit", high=1000) == result


def test_every_parameter_must_be_read_but_the_signature() -> None:
    params = Params({"a": "1", "b": "2", "signature": "x"})
    params.text("a")
    with pytest.raises(ApiError, match=r"read '1' parameter.* sent '2'"):
        params.finish()
    params.ignore("b")
    params.finish()


def test_every_order_type_of_the_engine_has_a_name() -> None:
    assert set(TYPES.values()) == set(OrderType)
    assert read_tif(None) is TimeInForce.GTC
