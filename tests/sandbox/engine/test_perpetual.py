"""Perpetuals: positions, realised gains, fees, and what orders hold."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.perpetual import split
from forwardtrader.sandbox.orders.account import PerpetualPosition
from forwardtrader.sandbox.orders.order import OrderType, Status
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.venue import ACCOUNT
from tests.sandbox.engine.perpetuals import FREE, PERPETUAL, Prices, perpetual_venue, take


def flat_at(*prices: float) -> list[Prices]:
    return [(price, price, price, price) for price in prices]


def test_an_execution_closes_what_is_held_and_opens_the_rest() -> None:
    long = PerpetualPosition(size=Decimal(2))
    assert split(long, Side.BUY, Decimal(3)) == (0, 3)
    assert split(long, Side.SELL, Decimal(1)) == (1, 0)
    assert split(long, Side.SELL, Decimal(3)) == (2, 1)


def test_the_entry_is_averaged_and_reversed_at_the_price_of_the_execution(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, flat_at(100, 200, 160), **FREE)
    position = venue.exchange.accounts[ACCOUNT].position(PERPETUAL)
    take(venue, Side.BUY, "1")
    venue.driver.advance()
    take(venue, Side.BUY, "1")
    assert (position.size, position.entry) == (2, 150)
    venue.driver.advance()
    take(venue, Side.SELL, "3")
    assert (position.size, position.entry, position.realised) == (-1, 160, 20)
    assert venue.exchange.order_index.trades[-1].gain == 20


@pytest.mark.parametrize(("side", "close", "cash"), [(Side.BUY, 110, 10_010), (Side.SELL, 110, 9990), (Side.SELL, 90, 10_010)])
def test_closing_pays_out_the_gain(tmp_path: Path, side: Side, close: float, cash: int) -> None:
    venue = perpetual_venue(tmp_path, flat_at(100, close), **FREE)
    take(venue, side, "1")
    venue.driver.advance()
    take(venue, Side.SELL if side is Side.BUY else Side.BUY, "1")
    account = venue.exchange.accounts[ACCOUNT]
    assert account.total("USDT") == account.available("USDT") == cash
    assert account.position(PERPETUAL) == PerpetualPosition(realised=Decimal(cash - 10_000))


def test_an_order_that_rests_holds_margin_fee_and_the_loss_that_it_would_begin_with(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, flat_at(100, 100), **(FREE | {"taker_fee_bps": 100, "leverage": 10}))
    resting = take(venue, Side.BUY, "1", OrderType.LIMIT, limit_price=Decimal(50))
    assert resting.locked == Decimal("10.5")
    worse = take(venue, Side.SELL, "1", OrderType.STOP, stop_price=Decimal(90))
    assert worse.locked == Decimal("20.9")


def test_an_entry_that_rests_is_filled_by_the_margin_set_aside_for_it_whatever_other_positions_have_lost(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [(100, 110, 100, 110), (110, 110, 110, 110)], **(FREE | {"leverage": 1}))
    take(venue, Side.SELL, "99")
    resting = take(venue, Side.SELL, "1", OrderType.LIMIT, limit_price=Decimal(105))
    assert resting.locked == Decimal(100) and venue.exchange.accounts[ACCOUNT].available("USDT") == 0
    while resting.is_open and venue.driver.advance():
        pass
    assert (resting.filled, resting.status) == (1, Status.FILLED)


def test_a_reducing_order_takes_no_more_than_the_position_and_holds_nothing(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, flat_at(100, 100), **FREE)
    with pytest.raises(OrderRefused) as refused:
        take(venue, Side.SELL, "1", reduce_only=True)
    assert refused.value.reason is RefusalReason.REDUCE_ONLY
    take(venue, Side.BUY, "2")
    resting = take(venue, Side.SELL, "5", OrderType.LIMIT, limit_price=Decimal(150), reduce_only=True)
    assert (resting.size, resting.locked) == (2, 0)
    take(venue, Side.SELL, "5", reduce_only=True)
    assert venue.exchange.accounts[ACCOUNT].position(PERPETUAL).size == 0
    venue.driver.set_price(PERPETUAL, Decimal(160), Decimal(1))
    venue.driver.advance()
    assert resting.filled == 0 and not resting.is_open
