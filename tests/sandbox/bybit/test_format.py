"""Payloads of the Bybit protocol for orders, executions and the wallet."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.bybit.positions import funding_execution
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.margin import CrossMargin
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.candle import CandleBook
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import OrderType, Status
from forwardtrader.sandbox.orders.settings import TIERS
from forwardtrader.sandbox.perpetual_rules import margin_tiers
from tests.sandbox.orders.made_orders import RULES, order

PERP = "BTC/USDT:USDT"


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
    row = form.order(made)
    assert (row["orderStatus"], row["triggerDirection"], row["stopOrderType"], row["orderType"]) == (
        "Untriggered",
        2,
        "tpslOrder",
        "Market",
    )
    made.triggered = True
    assert form.order(made)["orderStatus"] == "New"


def test_a_closed_order_leaves_nothing_open() -> None:
    made = order(OrderType.LIMIT, Side.BUY, 2, 100)
    assert form.order(made)["leavesQty"] == "2"
    made.status = Status.CANCELED
    assert form.order(made)["leavesQty"] == "0"


def test_the_wallet_counts_locked_balance_and_the_margin_of_positions() -> None:
    listing = Listing(replace(RULES, symbol=PERP, settle="USDT", margin_tiers=margin_tiers(TIERS)), CandleBook(60_000), last=Decimal(205))
    margin = CrossMargin({PERP: listing}, Decimal(10))
    account = ClientAccount("main", {"USDT": Decimal(120)}, margin.usable)
    account.lock("USDT", Decimal(30))
    position = account.position(PERP)
    position.size, position.entry = Decimal(1), Decimal(200)
    [coin] = form.wallet(account, margin)["coin"]
    assert (coin["walletBalance"], coin["equity"], coin["free"], coin["locked"]) == ("120", "125", "74.5", "45.5")
    assert (coin["totalPositionIM"], coin["unrealisedPnl"], coin["totalPositionMM"]) == ("20.5", "5", "1.025")


def test_funding_is_an_execution_whose_fee_is_what_was_paid() -> None:
    row = funding_execution(Funded("main", PERP, Decimal(-2), Decimal(100), Decimal("0.01"), Decimal(2), 9))
    assert (row["execType"], row["side"], row["execQty"], row["execFee"], row["execValue"]) == ("Funding", "Sell", "2", "-2", "200")
