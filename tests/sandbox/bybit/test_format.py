"""Payloads of the Bybit protocol for orders, executions and the wallet."""

from __future__ import annotations

from decimal import Decimal

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import OrderType, Status
from tests.sandbox.orders.made_orders import order

TEN = Decimal(10)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (Decimal("1.500"), "1.5"), (Decimal("100.0"), "100"), (Decimal(100), "100"), (Decimal("1E-7"), "0.0000001")],
)
def test_numbers_are_plain_and_unpadded(value: Decimal | None, text: str) -> None:
    assert form.number(value) == text


def test_a_symbol_with_a_settlement_coin_is_linear() -> None:
    assert (form.ident("BTC/USDT:USDT"), form.category("BTC/USDT:USDT"), form.category("BTC/USDT")) == ("BTCUSDT", "linear", "spot")


@pytest.mark.parametrize(
    ("status", "filled", "name"),
    [
        (Status.NEW, 0, "New"),
        (Status.PARTIAL, 1, "PartiallyFilled"),
        (Status.FILLED, 2, "Filled"),
        (Status.CANCELED, 0, "Cancelled"),
        (Status.CANCELED, 1, "PartiallyFilledCanceled"),
        (Status.EXPIRED, 1, "PartiallyFilledCanceled"),
        (Status.HELD, 0, "Untriggered"),
    ],
)
def test_every_status_has_a_name(status: Status, filled: int, name: str) -> None:
    made = order(OrderType.LIMIT, Side.BUY, 2, 100)
    made.status, made.filled = status, Decimal(filled)
    assert form.order_status(made) == name


def test_a_stop_is_untriggered_until_its_trigger_has_passed() -> None:
    made = order(OrderType.STOP, Side.SELL, 1, None, 90)
    row = form.order(made, TEN)
    assert (row["orderStatus"], row["triggerDirection"], row["stopOrderType"], row["orderType"]) == (
        "Untriggered",
        2,
        "tpslOrder",
        "Market",
    )
    made.triggered = True
    assert form.order(made, TEN)["orderStatus"] == "New"


def test_a_closed_order_leaves_nothing_open() -> None:
    made = order(OrderType.LIMIT, Side.BUY, 2, 100)
    assert form.order(made, TEN)["leavesQty"] == "2"
    made.status = Status.CANCELED
    assert form.order(made, TEN)["leavesQty"] == "0"


def test_the_wallet_counts_locked_balance_and_the_margin_of_positions() -> None:
    account = ClientAccount("main", {"USDT": Decimal(100)})
    account.lock("USDT", Decimal(30))
    position = account.position("BTC/USDT:USDT")
    position.size, position.entry, position.margin = Decimal(1), Decimal(200), Decimal(20)
    [coin] = form.wallet(account, {"BTC/USDT:USDT": Decimal(205)}, {"BTC/USDT:USDT": "USDT"})["coin"]
    assert (coin["walletBalance"], coin["equity"], coin["free"], coin["locked"]) == ("120", "125", "70", "50")
    assert (coin["totalPositionIM"], coin["unrealisedPnl"]) == ("20", "5")


def test_funding_is_an_execution_whose_fee_is_what_was_paid() -> None:
    row = form.funding_execution(Funded("main", "BTC/USDT:USDT", Decimal(-2), Decimal(100), Decimal("0.01"), Decimal(2), 9))
    assert (row["execType"], row["side"], row["execQty"], row["execFee"], row["execValue"]) == ("Funding", "Sell", "2", "-2", "200")
