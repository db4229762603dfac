"""Accounts are liquidated at the worst mark of a bar before its orders rest on, or at the mark at which it opens."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import Liquidated
from forwardtrader.sandbox.orders.order import OrderType, Origin
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.venue import ACCOUNT
from tests.sandbox.engine.perpetuals import FLAT, FREE, PERPETUAL, perpetual_venue, take
from tests.sandbox.small_market import recorded_events

DIP = (100.0, 100.0, 50.0, 100.0)
SPIKE = (100.0, 150.0, 100.0, 100.0)


@pytest.mark.parametrize(("side", "bar", "mark"), [(Side.BUY, DIP, 50), (Side.SELL, SPIKE, 150)])
def test_the_worst_price_inside_a_bar_liquidates_though_the_bar_recovers(
    tmp_path: Path, side: Side, bar: tuple[float, ...], mark: int
) -> None:
    venue = perpetual_venue(tmp_path, [FLAT, bar, FLAT], balances={"USDT": 502}, **FREE)  # type: ignore[list-item]
    events = recorded_events(venue)
    take(venue, side, "10")
    while venue.driver.advance():
        pass
    account = venue.exchange.accounts[ACCOUNT]
    [told] = [event for event in events if isinstance(event, Liquidated)]
    assert (told.equity, told.maintenance, told.insured) == (2, Decimal(10 * mark) / 200, 0)
    assert (account.position(PERPETUAL).size, account.total("USDT")) == (0, 2)
    closed = venue.exchange.order_index.trades[-1]
    assert (closed.price, venue.exchange.order_index.orders[closed.order_id].request.origin) == (mark, Origin.LIQUIDATION)


def test_a_loss_beyond_the_balance_is_borne_by_the_insurance_fund_and_told(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT, DIP, FLAT], balances={"USDT": 200}, **(FREE | {"liquidation_fee_bps": 100}))
    events = recorded_events(venue)
    take(venue, Side.BUY, "10")
    while venue.driver.advance():
        pass
    account = venue.exchange.accounts[ACCOUNT]
    [told] = [event for event in events if isinstance(event, Liquidated)]
    assert account.total("USDT") == 0
    assert told.insured == account.insured["USDT"] == 305  # 300, and a fee of one per cent of 500


def test_a_gap_liquidates_at_the_mark_at_which_the_bar_opens(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT, (52.0, 100.0, 52.0, 100.0), FLAT], balances={"USDT": 481}, **FREE)
    take(venue, Side.BUY, "10")
    venue.driver.advance()
    assert venue.exchange.order_index.trades[-1].price == 52


def test_it_is_the_mark_that_counts_not_the_last_price(tmp_path: Path) -> None:
    calm = perpetual_venue(tmp_path, [FLAT, DIP, FLAT], files={"mark": [FLAT] * 3}, balances={"USDT": 200}, **FREE)
    take(calm, Side.BUY, "10")
    for _ in range(2):
        calm.driver.advance()
    assert calm.exchange.accounts[ACCOUNT].position(PERPETUAL).size == 10


def test_orders_are_cancelled_before_the_positions_are_closed_and_a_stop_in_the_same_bar_is_too_late(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT, DIP, FLAT], balances={"USDT": 200}, **FREE)
    take(venue, Side.BUY, "10")
    stop = take(venue, Side.SELL, "10", OrderType.STOP, stop_price=Decimal(90), reduce_only=True)
    while venue.driver.advance():
        pass
    assert (stop.filled, stop.is_open) == (0, False)


def test_a_position_is_deleveraged_in_part_at_the_mark(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT] * 3, **FREE)
    account = venue.exchange.accounts[ACCOUNT]
    with pytest.raises(OrderRefused):
        venue.liquidation.deleverage(account, PERPETUAL)
    take(venue, Side.SELL, "2")
    venue.liquidation.deleverage(account, PERPETUAL, Decimal("0.5"))
    assert account.position(PERPETUAL).size == Decimal("-1.5")
    venue.liquidation.deleverage(account, PERPETUAL)
    assert account.position(PERPETUAL).size == 0
