"""An order whose answer is missing: executed, resting or never arrived, whatever the venue's queries say for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import NEVER_ARRIVED, Filled, Intent, Refused
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.venue.client_ids import client_id
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import HASTY, practice, store_on

_HIDDEN_S = 2.5 * HASTY.not_found_s
SILENT = replace(HASTY, check_every_s=36_000.0)


@pytest.fixture(params=["binance", "bybit"])
def venue(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    with practice(protocol=request.param) as venue:
        yield venue


@pytest.fixture
def store(venue: SandboxHandle) -> Iterator[Any]:
    store = store_on(venue, query_timeouts=SILENT)
    store.getdata(dataname="BTC/USDT")
    store.getbroker()
    store.start()
    yield store
    store.stop()


def sent(store: Any, venue: SandboxHandle, **request: Any) -> Intent:
    """An order that the journal holds and the account sent; returns when its fate is known."""
    market_time = venue.state()["market_time"]
    plain = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.01"), limit_price=None, stop_price=None)
    wanted = replace(plain, **request)
    intent = Intent(client_id=client_id("ftabcdef", market_time, 1), request=wanted, bar=market_time - market_time % 60_000)
    store.account.journal.write(intent)
    store.loop.call(store.account.send(intent), 60.0)
    return intent


def state_of(store: Any, intent: Intent) -> IntentState | None:
    return store.account.journal.state_of(intent.client_id)  # type: ignore[no-any-return]


@pytest.mark.parametrize("lost", ["F1", "F2"])
def test_a_filled_order_that_its_query_does_not_find_for_long_is_found_among_orders_and_executions(
    venue: SandboxHandle, store: Any, lost: str
) -> None:
    venue.arm(lost)
    venue.arm("F6", seconds=_HIDDEN_S)
    intent = sent(store, venue)
    assert state_of(store, intent) is IntentState.DONE
    assert sum(e.size for e in store.account.journal.executions(intent.client_id)) == intent.request.size
    assert not [event for event in store.events if isinstance(event, Refused)]


def test_an_order_that_rests_and_that_its_query_does_not_find_is_found_among_those_that_rest(venue: SandboxHandle, store: Any) -> None:
    venue.arm("F2")
    venue.arm("F6", seconds=_HIDDEN_S)
    last = Decimal(str(venue.state()["symbols"]["BTC/USDT"]["last"]))
    intent = sent(store, venue, limit_price=(last / 2).quantize(Decimal("0.01")))
    assert state_of(store, intent) is IntentState.ACKNOWLEDGED
    assert len(venue.state()["open_orders"]) == 1


def test_an_execution_whose_order_is_not_shown_keeps_it_unknown_until_it_is(venue: SandboxHandle, store: Any) -> None:
    """The lists of orders lag as well: what is left is an execution of an order that nobody knows."""
    venue.control("lag", what="orders", seconds=_HIDDEN_S)
    venue.arm("F2")
    venue.arm("F8", count=5)  # the socket says nothing either
    venue.arm("F6", seconds=_HIDDEN_S)
    began = time.monotonic()
    intent = sent(store, venue)
    assert time.monotonic() - began > HASTY.not_found_s
    assert state_of(store, intent) is IntentState.DONE
    assert not [event for event in store.events if isinstance(event, Refused)]
    assert [event.execution.size for event in store.events if isinstance(event, Filled)] == [intent.request.size]


def test_an_order_that_left_no_trace_never_arrived_though_somebody_else_trades_there(venue: SandboxHandle, store: Any) -> None:
    by_hand = store.account.client.create_order("BTC/USDT", "market", "buy", 0.02, None, {"clientOrderId": "by-hand"})
    store.loop.call(by_hand)
    venue.arm("F4", how="503")
    intent = sent(store, venue)
    assert state_of(store, intent) is IntentState.REFUSED
    assert Refused(intent.client_id, NEVER_ARRIVED) in store.events
    assert not store.account.halted
