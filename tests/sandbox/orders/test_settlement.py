"""Fees are taken in the right asset, and no amount is lost to rounding."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import OrderType, Status
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
