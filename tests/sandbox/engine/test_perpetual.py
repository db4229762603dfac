"""Perpetuals: positions, margin, realised gains, funding and liquidation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.perpetual import Perpetual, absorb, must_liquidate, pay_funding, split, unrealised
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.sandbox.orders.settlement import Fees
from tests.sandbox.orders import made_orders
from tests.sandbox.orders.made_orders import order

RULES = replace(made_orders.RULES, can_short=True)
FREE = Perpetual(Fees(Decimal(0), Decimal(0), "quote", lambda coin, quote: None), leverage=Decimal(10))


def account(cash: int = 1000) -> ClientAccount:
    return ClientAccount("main", {"USDT": Decimal(cash)})


def trade(held: ClientAccount, side: Side, size: float, price: float) -> None:
    made = order(OrderType.MARKET, side, size)
    FREE.settle(held, made, RULES, Decimal(str(price)), made.size, False)


def test_an_execution_closes_what_is_held_and_opens_the_rest() -> None:
    long = PerpetualPosition(size=Decimal(2))
    assert split(long, Side.BUY, Decimal(3)) == (0, 3)
    assert split(long, Side.SELL, Decimal(1)) == (1, 0)
    assert split(long, Side.SELL, Decimal(3)) == (2, 1)


def test_opening_ties_up_margin_and_averages_the_entry() -> None:
    held = account()
    trade(held, Side.BUY, 1, 100)
    trade(held, Side.BUY, 1, 200)
    position = held.position(RULES.symbol)
    assert (position.size, position.entry, position.margin, held.available("USDT")) == (2, 150, 30, 970)
    assert unrealised(position, Decimal(160)) == 20


@pytest.mark.parametrize(("side", "close", "cash"), [(Side.BUY, 110, 1010), (Side.SELL, 110, 990), (Side.SELL, 90, 1010)])
def test_closing_pays_out_gain_and_margin(side: Side, close: float, cash: int) -> None:
    held = account()
    trade(held, side, 1, 100)
    trade(held, Side.SELL if side is Side.BUY else Side.BUY, 1, close)
    assert held.available("USDT") == cash
    assert held.position(RULES.symbol) == PerpetualPosition(realised=Decimal(cash - 1000))


def test_a_position_is_reversed_at_the_price_of_the_execution() -> None:
    held = account()
    trade(held, Side.BUY, 1, 100)
    trade(held, Side.SELL, 3, 110)
    position = held.position(RULES.symbol)
    assert (position.size, position.entry, position.margin) == (-2, 110, 22)


def test_longs_pay_shorts_the_funding() -> None:
    long, short = account(), account()
    trade(long, Side.BUY, 1, 100)
    trade(short, Side.SELL, 1, 100)
    assert [pay_funding(held, RULES, Decimal(100), Decimal("0.01")) for held in (long, short)] == [-1, 1]
    assert (long.available("USDT"), short.available("USDT")) == (989, 991)


def test_the_insurance_fund_bears_a_loss_beyond_the_balance() -> None:
    held = account(5)
    absorb(held, "USDT", Decimal(-8))
    assert (held.available("USDT"), held.insured["USDT"]) == (0, 3)


def test_an_account_is_liquidated_at_its_maintenance_margin() -> None:
    held = account(10)
    trade(held, Side.BUY, 1, 100)
    assert not must_liquidate(held, "USDT", {RULES.symbol: Decimal("90.46")})
    assert must_liquidate(held, "USDT", {RULES.symbol: Decimal("90.45")})
    assert not must_liquidate(account(0), "USDT", {RULES.symbol: Decimal(1)})


def test_a_reducing_order_affords_no_more_than_the_position() -> None:
    held = account()
    trade(held, Side.BUY, 2, 100)
    reducing = order(OrderType.MARKET, Side.SELL, 5, reduce_only=True)
    assert FREE.affordable(held, reducing, RULES, Decimal(100), False) == 2
    assert FREE.hold(held, reducing, RULES, Decimal(100)) == ("USDT", 0)
