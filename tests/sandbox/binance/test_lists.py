"""Order lists of the Binance protocol: their legs and their state."""

from __future__ import annotations

from decimal import Decimal

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.lists import ABOVE, BELOW, described, leg, list_status
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.order_list import OrderList
from tests.sandbox.orders.made_orders import order

STOP_LEG = {"belowType": "STOP_LOSS", "belowStopPrice": "90", "belowClientOrderId": "below"}


def read(sent: dict[str, str], side: Side = Side.SELL) -> None:
    leg(Params(sent), "generated", "BTC/USDT", side, "below", Decimal(1), BELOW[side])


def test_a_leg_is_read_by_its_prefix() -> None:
    made = leg(Params(STOP_LEG), "generated", "BTC/USDT", Side.SELL, "below", Decimal(1), BELOW[Side.SELL])
    assert (made.type, made.stop_price, made.limit_price, made.client_id) == (OrderType.STOP, 90, None, "below")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"belowType": "LIMIT_MAKER"}, -1116), ({"belowStopPrice": ""}, -1105), ({"belowPrice": "89"}, -1106), ({"belowType": ""}, -1102)],
)
def test_a_leg_must_have_the_type_and_prices_of_its_side(change: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as caught:
        read(STOP_LEG | change)
    assert caught.value.code == code


def test_a_sale_takes_profit_above_and_stops_below_and_a_buy_the_reverse() -> None:
    assert OrderType.LIMIT_MAKER in ABOVE[Side.SELL] and OrderType.STOP in BELOW[Side.SELL]
    assert OrderType.STOP in ABOVE[Side.BUY] and OrderType.LIMIT_MAKER in BELOW[Side.BUY]


def test_a_list_names_its_kind_state_and_orders() -> None:
    legs = [order(OrderType.LIMIT, Side.SELL, 1, price, client_id=str(price)) for price in (110, 90)]
    group = OrderList(3, "main", "BTC/USDT", "mine", 7, None, legs)
    summary = described(group)
    assert (summary["contingencyType"], summary["listStatusType"], summary["orderListId"]) == ("OCO", "EXEC_STARTED", 3)
    assert [o["clientOrderId"] for o in summary["orders"]] == ["110", "90"]
    group.working, group.done = order(OrderType.LIMIT, Side.BUY, 1, 100), True
    event = list_status(group, 9)
    assert (event["c"], event["l"], event["C"], event["T"], len(event["O"])) == ("OTO", "ALL_DONE", "mine", 9, 3)
