"""Fees are taken in the right asset, and no amount is lost to rounding."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import OrderType, Status
from forwardtrader.sandbox.orders.settlement import Fees, Spot
from tests.sandbox.orders.made_orders import RULES, order
from tests.sandbox.small_market import FLAT, balance, place, venue_of

BUY, SELL = Side.BUY, Side.SELL
MARKET = OrderType.MARKET
# Bar 1 opens at 100; bar 2 is 98..106.
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]
FEES = [
    ("received", BUY, "BTC", 0.001, {"BTC": 10.999, "USDT": 9900}),
    ("received", SELL, "USDT", 0.1, {"BTC": 9, "USDT": 10_099.9}),
    ("quote", BUY, "USDT", 0.1, {"BTC": 11, "USDT": 9899.9}),
    ("BNB", BUY, "BNB", 0.0002, {"BTC": 11, "USDT": 9900, "BNB": 0.9998}),
]


@pytest.mark.parametrize(("mode", "side", "asset", "fee", "after"), FEES, ids=str)
def test_the_fee_is_taken_in_the_coin_the_setting_names(
    tmp_path: Path, mode: str, side: Side, asset: str, fee: float, after: dict[str, float]
) -> None:
    venue = venue_of(
        tmp_path, BARS, fee_asset=mode, taker_fee_bps=10, symbols=["BTC/USDT", "BNB/USDT"], balances={"USDT": 10_000, "BTC": 10, "BNB": 1}
    )
    venue.exchange.listings["BNB/USDT"].last = Decimal(500)
    [trade] = place(venue, MARKET, side, 1).trades
    assert (trade.fee_asset, float(trade.fee)) == (asset, fee)
    assert {a: sum(balance(venue, a)) for a in after} == after


def test_a_coin_that_has_run_out_leaves_the_fee_to_what_is_received(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, fee_asset="BNB", taker_fee_bps=10)
    assert place(venue, MARKET, BUY, 1).trades[0].fee_asset == "BTC"


def test_all_money_can_be_spent_to_the_last_step_where_fees_are_in_quote(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, fee_asset="quote", taker_fee_bps=10)
    order = place(venue, MARKET, BUY, 99.9)
    assert order.status is Status.FILLED
    assert balance(venue, "USDT")[0] == pytest.approx(10_000 - 9990 * 1.001)


def spot(asset: str = "received") -> Spot:
    return Spot(Fees(Decimal(0), Decimal("0.001"), asset, lambda coin, quote: None))


def account_with(**balances: float) -> ClientAccount:
    return ClientAccount("main", {name: Decimal(str(value)) for name, value in balances.items()})


def test_a_buy_locks_quote_with_its_fee_and_a_sale_locks_base() -> None:
    account = account_with(USDT=1000)
    buy, sale = order(OrderType.LIMIT, BUY, 2, 100), order(OrderType.LIMIT, SELL, 2, 100)
    assert spot().hold(account, buy, RULES, Decimal(90)) == ("USDT", 200)
    assert spot("quote").hold(account, buy, RULES, Decimal(90)) == ("USDT", Decimal("200.2"))
    assert spot().hold(account, order(MARKET, BUY, 2), RULES, Decimal(90)) == ("USDT", 180)
    assert spot().hold(account, sale, RULES, Decimal(90)) == ("BTC", 2)


def test_the_affordable_size_lies_on_the_step_and_counts_the_orders_own_lock() -> None:
    account = account_with(USDT=50)
    buy = order(OrderType.LIMIT, BUY, 2, 100)
    buy.locked, buy.lock_asset = Decimal("50.17"), "USDT"
    assert spot().affordable(account, buy, RULES, Decimal(100), False) == Decimal("1.001")
    assert spot().affordable(account_with(BTC=0.0019), order(OrderType.LIMIT, SELL, 2, 100), RULES, Decimal(100), False) == Decimal("0.001")


def test_amounts_are_rounded_to_the_smallest_unit() -> None:
    account = account_with(USDT=1000)
    done = spot().settle(account, order(OrderType.LIMIT, BUY, 1, 100), RULES, Decimal("33.333333333"), Decimal("0.123"), False)
    assert (done.quote, done.fee) == (Decimal("4.10000000"), Decimal("0.00012300"))
    assert account.total("USDT") == Decimal("995.90000000")
