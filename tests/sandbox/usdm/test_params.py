"""Request parameters of Binance USD-M's orders are parsed and validated as at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.orders.order import OrderType, TimeInForce
from forwardtrader.sandbox.usdm.params import read_algo_order, read_order

LIMIT = {"side": "BUY", "type": "LIMIT", "quantity": "2", "price": "99.5", "timeInForce": "IOC", "newClientOrderId": "mine"}
STOP = {"algoType": "CONDITIONAL", "side": "SELL", "type": "STOP_MARKET", "quantity": "2", "triggerPrice": "90", "clientAlgoId": "stop"}


def read(params: dict[str, str], *, hedged: bool = False, algo: bool = False) -> Any:
    return (read_algo_order if algo else read_order)(Params(params), "BTC/USDT:USDT", "default", hedged=hedged)


def test_orders_are_read() -> None:
    order = read(LIMIT)
    assert (order.type, order.size, order.limit_price, order.tif) == (OrderType.LIMIT, 2, Decimal("99.5"), TimeInForce.IOC)
    assert (order.client_id, order.reduce_only) == ("mine", False)
    assert read(LIMIT | {"timeInForce": "GTX"}).type is OrderType.LIMIT_MAKER
    assert read({"side": "SELL", "type": "MARKET", "quantity": "1", "reduceOnly": "true"}).reduce_only


def test_conditional_orders_are_read_by_the_algo_service_only() -> None:
    assert (read(STOP, algo=True).type, read(STOP, algo=True).stop_price) == (OrderType.STOP, 90)
    assert read(STOP | {"type": "STOP", "price": "89"}, algo=True).type is OrderType.STOP_LIMIT
    assert read(STOP | {"type": "TAKE_PROFIT_MARKET"}, algo=True).type is OrderType.TAKE_PROFIT
    with pytest.raises(ApiError, match="Algo Order API"):
        read({"side": "SELL", "type": "STOP_MARKET", "quantity": "1", "stopPrice": "90"})
    with pytest.raises(ApiError) as wrong:
        read(STOP | {"type": "LIMIT"}, algo=True)
    assert wrong.value.code == -1116


@pytest.mark.parametrize(("side", "hedged"), [("BOTH", True), ("LONG", False)])
def test_the_position_side_must_be_that_of_the_accounts_mode(side: str, hedged: bool) -> None:
    with pytest.raises(ApiError) as refused:
        read(LIMIT | {"positionSide": side}, hedged=hedged)
    assert refused.value.code == -4061


@pytest.mark.parametrize(
    ("change", "code"), [({"price": ""}, -1102), ({"timeInForce": ""}, -1102), ({"reduceOnly": "no"}, -1130), ({"odd": "1"}, -1104)]
)
def test_what_is_missing_wrong_or_unknown_is_refused(change: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as refused:
        read(LIMIT | change)
    assert refused.value.code == code
