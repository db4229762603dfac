"""Order submission at the practice exchange: each intent is posted once, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Halted, Intent, Refused
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.submit import order_arguments
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import practice, store_on


@pytest.fixture(params=["binance", "bybit"])
def venue(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    with practice(protocol=request.param) as venue:
        yield venue


@pytest.fixture
def store(venue: SandboxHandle) -> Iterator[Any]:
    store = store_on(venue)
    store.getdata(dataname="BTC/USDT")
    store.getbroker()
    store.start()
    yield store
    store.stop()


def intent() -> Intent:
    request = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.01"), limit_price=None, stop_price=None, reason="")
    return Intent(client_id="wired", request=request, bar=0, role="")


def orders_posted(venue: SandboxHandle) -> int:
    return sum(e["kind"] == "rest" and e["name"].startswith("POST") and "order" in e["name"] for e in venue.log())


def test_an_intent_is_posted_once_however_often_it_is_sent(venue: SandboxHandle, store: Any) -> None:
    account = store.account
    assert account.journal.write(intent())

    async def send_twice() -> None:
        await asyncio.gather(account.send(intent()), account.send(intent()))
        await account.send(intent())

    store.loop.call(send_twice())
    assert orders_posted(venue) == 1
    assert len(venue.orders()) == 1
    assert account.journal.state_of("wired") in (IntentState.ACKNOWLEDGED, IntentState.DONE)


def test_an_intent_that_the_journal_does_not_hold_is_not_posted(venue: SandboxHandle, store: Any) -> None:
    store.loop.call(store.account.send(intent()))
    assert orders_posted(venue) == 0


def test_a_journal_that_cannot_be_written_keeps_the_order_from_the_wire_and_halts(venue: SandboxHandle, store: Any) -> None:
    account = store.account
    assert account.journal.write(intent())
    account.journal._file.run("pragma query_only = 1")
    store.loop.call(account.send(intent()))
    assert orders_posted(venue) == 0
    assert "free some disk" in account.halted
    assert [type(event) for event in store.events] == [Halted, Refused]


def test_whoever_waits_for_the_request_is_released_when_it_is_out_or_will_not_go_out(venue: SandboxHandle, store: Any) -> None:
    released: list[int] = []
    account = store.account
    account.journal.write(intent())
    for _ in range(2):
        store.loop.call(account.send(intent(), lambda: released.append(orders_posted(venue))))
    assert released[-1] == 1
    assert len(released) == 3  # once when the request waits for its answer, and at the end of each call


def test_a_market_order_carries_no_price_and_a_stop_its_trigger() -> None:
    symbol, kind, side, size, price, params = order_arguments(intent())
    assert (symbol, kind, side, size, price, params) == ("BTC/USDT", "market", "buy", 0.01, None, {"clientOrderId": "wired"})
    stop = replace(intent(), request=replace(intent().request, side=Side.SELL, stop_price=Decimal(9), limit_price=Decimal(8)))
    assert order_arguments(stop)[1:5] == ("limit", "sell", 0.01, 8.0)
    assert order_arguments(stop)[5]["stopLossPrice"] == 9.0


def test_a_stop_on_a_perpetual_names_its_direction_and_one_that_reduces_says_so() -> None:
    stop = replace(intent(), request=replace(intent().request, stop_price=Decimal(9), limit_price=None))
    params = order_arguments(stop, reduces=True, directed=True)[5]
    wanted = "ascending" if stop.request.side is Side.BUY else "descending"
    assert (params["triggerPrice"], params["triggerDirection"], params["reduceOnly"]) == (9.0, wanted, True)
    assert "stopLossPrice" not in params and "reduceOnly" not in order_arguments(stop)[5]
