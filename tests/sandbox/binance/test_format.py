"""Payloads of the Binance protocol for orders, executions and balances."""

from __future__ import annotations

from decimal import Decimal

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.engine.events import ExecutionType, OrderChanged
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import OrderType, Status, Trade
from tests.sandbox.orders.made_orders import order

FILL = Trade(
    id=9, order_id=1, account="main", symbol="BTC/USDT", side=Side.BUY, price=Decimal(100), size=Decimal("0.5"), quote=Decimal(50),
    fee=Decimal("0.0005"), fee_asset="BTC", at=77, maker=True,
)  # fmt: skip


@pytest.mark.parametrize(("value", "text"), [(None, "0.00000000"), (Decimal("1E-7"), "0.00000010"), (Decimal(12), "12.00000000")])
def test_numbers_have_eight_decimals(value: Decimal | None, text: str) -> None:
    assert form.number(value) == text


def test_every_status_has_a_name() -> None:
    assert set(form.STATUS) == set(Status)


def test_the_report_of_a_fill_carries_the_execution_and_the_totals() -> None:
    made = order(OrderType.LIMIT, Side.BUY, 1, 100, client_id="mine")
    made.filled, made.quote_filled, made.status = Decimal("0.5"), Decimal(50), Status.PARTIAL
    made.trades.append(FILL)
    report = form.execution_report(OrderChanged(made, ExecutionType.TRADE, FILL, 77))
    wanted = {"c": "mine", "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.50000000", "z": "0.50000000", "L": "100.00000000",
              "n": "0.00050000", "N": "BTC", "t": 9, "m": True, "w": True, "Z": "50.00000000", "T": 77}  # fmt: skip
    assert {key: report[key] for key in wanted} == wanted


def test_the_report_of_a_cancel_has_the_client_id_of_the_cancel_and_of_the_order() -> None:
    made = order(OrderType.LIMIT, Side.BUY, 1, 100, client_id="mine")
    made.cancel_id, made.status = "cancel", Status.CANCELED
    report = form.execution_report(OrderChanged(made, ExecutionType.CANCELED, None, 5))
    assert (report["c"], report["C"], report["x"], report["N"], report["t"]) == ("cancel", "mine", "CANCELED", None, -1)


def test_a_stop_is_working_once_it_is_triggered() -> None:
    made = order(OrderType.STOP, Side.SELL, 1, None, 90)
    assert form.order_queried(made)["isWorking"] is False
    made.triggered = True
    assert form.order_queried(made)["isWorking"] is True
    assert form.order_queried(made)["type"] == "STOP_LOSS"


def test_balances_show_what_is_free_and_locked() -> None:
    account = ClientAccount("main", {"USDT": Decimal(100)})
    account.lock("USDT", Decimal(30))
    assert form.account_position(account, ("USDT",), 3)["B"] == [{"a": "USDT", "f": "70.00000000", "l": "30.00000000"}]
    rates = form.account_queried(account, 3, Decimal("0.001"), Decimal("0.002"))
    assert (rates["makerCommission"], rates["takerCommission"], rates["updateTime"]) == (10, 20, 3)
