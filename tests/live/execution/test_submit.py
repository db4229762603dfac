"""The last step before the wire: an order asks for leave when its request stands ready, and goes or does not go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.submit import Withheld
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


def test_leave_is_asked_once_when_the_signed_request_stands_ready(venue: SandboxHandle, store: Any) -> None:
    seen: list[tuple[bool, int]] = []
    client = store.account.client
    if client.id == "bybit":
        store.loop.call(client.is_unified_enabled())  # what ccxt would ask before the first order

    def may_leave() -> bool:
        seen.append(("wired" in str(client.last_request_url) + str(client.last_request_body), orders_posted(venue)))
        return True

    order = store.loop.call(store.account.wire.order(intent(), may_leave))
    assert seen == [(True, 0)]
    assert order["id"]
    assert orders_posted(venue) == 1


def test_an_order_without_leave_is_not_sent_and_others_of_the_client_are_not_asked(venue: SandboxHandle, store: Any) -> None:
    asked: list[bool] = []

    def may_not() -> bool:
        return bool(asked.append(True))

    async def together() -> list[Any]:
        account = store.account
        return await asyncio.gather(account.wire.order(intent(), may_not), account.client.fetch_time(), return_exceptions=True)

    refused, told = store.loop.call(together())
    assert isinstance(refused, Withheld)
    assert told > 0
    assert (asked, orders_posted(venue)) == ([True], 0)


def test_what_keeps_the_intent_from_the_disk_is_what_the_sender_hears(venue: SandboxHandle, store: Any) -> None:
    def full() -> bool:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        store.loop.call(store.account.wire.order(intent(), full))
    assert orders_posted(venue) == 0
