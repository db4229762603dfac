"""What a kill and a flatten do to an account: within their time, however slow the venue is, and with nothing left that may go out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.supervision.account_actions import sell_out, stand_down
from forwardtrader.live.venue.client_ids import client_id, run_prefix
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.bridge.test_recovery import until
from tests.live.market import practice, store_on

SLOW_S, PATIENCE_S, GENEROUS_S = 60.0, 0.3, 20.0


@pytest.fixture(params=["binance", "bybit"])
def venue(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    with practice(protocol=request.param) as venue:
        yield venue


@pytest.fixture
def account(venue: SandboxHandle) -> Iterator[Any]:
    store = store_on(venue, run="slow")
    store.getdata(dataname="BTC/USDT")
    store.getbroker()
    store.start()
    store.account.call, store.account.spawn = store.loop.call, store.loop.spawn
    yield store.account
    store.stop()


def intent(number: int, side: Side = Side.BUY, price: str | None = None, **joined: Any) -> Intent:
    request = OrderRequest(
        symbol="BTC/USDT", side=side, size=Decimal("0.01"), limit_price=None if price is None else Decimal(price), stop_price=None
    )
    return Intent(client_id=client_id(run_prefix("slow"), 1_700_000_000_000, number), request=request, bar=0, **joined)


def sent(account: Any, *intents: Intent) -> None:
    for each in intents:
        account.journal.write(each)
        account.call(account.send(each))


@pytest.mark.parametrize("how", ["F42", "F41"])
def test_orders_are_taken_back_within_the_patience_though_every_answer_takes_a_minute(venue: SandboxHandle, account: Any, how: str) -> None:
    sent(account, intent(1, price="30000"), intent(2, price="30001"))
    venue.arm(how, on="cancel", seconds=SLOW_S, count=0)
    began = time.monotonic()
    deeds = account.call(stand_down(account, PATIENCE_S))
    assert time.monotonic() - began < GENEROUS_S
    assert sorted((*deeds.cancelled, *deeds.unconfirmed)) == [intent(1).client_id, intent(2).client_id]
    if how == "F42":  # carried out at once, only the answer is late
        until(lambda: not venue.state()["open_orders"])
        assert venue.state()["open_orders"] == []
    else:
        assert len(deeds.unconfirmed) == 2
        assert "not confirmed by the venue yet" in deeds.text


def test_a_position_is_sold_though_the_answer_takes_a_minute_and_what_is_said_is_true(venue: SandboxHandle, account: Any) -> None:
    sent(account, intent(1))
    account.call(account.settle(intent(1)))
    venue.arm("F42", on="place", seconds=SLOW_S, count=0)
    began = time.monotonic()
    deeds = account.call(sell_out(account, account.symbols, "slow", "command", PATIENCE_S))
    assert time.monotonic() - began < GENEROUS_S
    assert deeds.are_sold or "not confirmed yet" in deeds.text
    until(lambda: sum(order["side"] == "sell" for order in venue.orders()))
    assert [order["side"] for order in venue.orders()] == ["buy", "sell"], "sold once"


def test_what_a_buy_has_bought_whose_answer_is_on_its_way_is_sold_too(venue: SandboxHandle, account: Any) -> None:
    """Its report is lost, and what is held when the command comes is nothing."""
    venue.arm("F42", on="place", seconds=1.0)
    venue.arm("F8", count=0)
    account.journal.write(intent(1))
    account.spawn(account.send(intent(1)))
    until(lambda: venue.orders())
    deeds = account.call(sell_out(account, account.symbols, "slow", "command", 0.05))
    until(lambda: len(venue.orders()) == 2)
    assert [order["side"] for order in venue.orders()] == ["buy", "sell"]
    assert deeds.are_sold or "is sold once the venue has answered" in deeds.text


def test_an_order_that_waits_for_its_turn_is_not_sent_once_it_was_taken_back(venue: SandboxHandle, account: Any) -> None:
    first, second = intent(1, price="30000"), intent(2, price="30001")
    venue.arm("F42", on="place", seconds=1.0)
    for each in (first, second):
        account.journal.write(each)
        account.spawn(account.send(each))
    account.call(account.cancel(second))
    until(lambda: account.journal.state_of(first.client_id) is IntentState.ACKNOWLEDGED)
    account.call(account.settle(second))  # behind whatever is on its way
    assert account.journal.state_of(second.client_id) is IntentState.DROPPED
    assert [order["client_id"] for order in venue.orders()] == [first.client_id]


def test_what_waits_on_our_side_does_not_go_out_after_a_command(account: Any) -> None:
    entry, child = intent(1, price="30000"), intent(2, Side.SELL, parent=intent(1).client_id)
    account.journal.write(entry, [child])
    account.call(account.send(entry))
    account.call(stand_down(account, GENEROUS_S))
    assert account.journal.state_of(child.client_id) is IntentState.DROPPED
    assert not account.journal.release(child), "the loop may turn again, and must not send it"
    assert account.journal.held_intents() == []
