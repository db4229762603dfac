"""Faults of requests, handshakes, reports and fills do what they say, as the unmodified ccxt client sees them."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import aiohttp
import ccxt
import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.processes import begin
from tests.sandbox.faults.ccxt_script import arm, buy, executions, lookup, play, reports_of

# What the order's answer looks like to the client, and whether the order was executed all the same.
ORDER_FAULTS = [
    ("F1", {}, ccxt.RequestTimeout, True),
    ("F2", {}, ccxt.ExchangeNotAvailable, True),
    ("F3", {"seconds": 5}, ccxt.RequestTimeout, True),
    ("F4", {}, ccxt.OperationFailed, False),
    # ccxt knows -1008 by the host name only, so that it is a plain ExchangeError here.
    ("F4", {"how": "overloaded"}, ccxt.ExchangeError, False),
    ("F4", {"how": "html"}, ccxt.ExchangeNotAvailable, False),
    ("F5", {}, ccxt.OperationFailed, False),
    ("F18", {"on": "place"}, ccxt.DDoSProtection, False),
    ("F19", {"on": "place", "seconds": 0.2}, ccxt.DDoSProtection, False),
    ("F26", {}, ccxt.InsufficientFunds, False),
    ("F37", {"on": "place"}, ccxt.AuthenticationError, False),
]


@pytest.mark.parametrize(("name", "options", "kind", "executed"), ORDER_FAULTS, ids=lambda v: str(v)[:24])
def test_an_order_answered_by_a_fault_is_executed_or_not_as_the_fault_says(name: str, options: Any, kind: Any, executed: bool) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, name, **options)
        with pytest.raises(ccxt.BaseError) as caught:
            await buy(client)
        assert isinstance(caught.value, kind)
        assert (len(server.venue.exchange.order_index.orders) == 1) is executed
        if executed:
            assert (await lookup(client))["status"] == "closed"
        else:
            with pytest.raises(ccxt.OrderNotFound):
                await lookup(client)
        await asyncio.sleep(0.25 if name == "F19" else 0)
        assert (await buy(client, "next"))["status"] == "closed"

    play(script)


def test_a_ban_meets_every_request_until_it_is_over() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F19", seconds=1.0)
        started, refused = time.monotonic(), 0
        while time.monotonic() < started + PATIENCE_S:
            try:
                await client.fetch_time()
                break
            except ccxt.DDoSProtection:
                refused += 1
                await asyncio.sleep(0.05)
        assert refused
        assert 0.9 < time.monotonic() - started < PATIENCE_S

    play(script)


def test_too_many_requests_carries_retry_after() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F18", seconds=7)
        with pytest.raises(ccxt.DDoSProtection):
            await client.fetch_time()
        assert client.last_response_headers["Retry-After"] == "7"

    play(script)


def test_an_existing_order_is_not_found_for_a_while() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await buy(client)
        arm(server, "F6", seconds=1.0)
        started = time.monotonic()
        with pytest.raises(ccxt.OrderNotFound):
            await lookup(client)
        while time.monotonic() < started + PATIENCE_S:
            try:
                await lookup(client)
                break
            except ccxt.OrderNotFound:
                await asyncio.sleep(0.05)
        assert 0.8 < time.monotonic() - started < PATIENCE_S

    play(script)


REPORT_FAULTS = [
    ("", {}, ["NEW", "TRADE"]),
    ("F7", {"count": 2}, ["NEW", "NEW", "TRADE", "TRADE"]),
    ("F8", {}, ["TRADE"]),
    ("F8", {"count": 2}, []),
    ("F9", {"how": "reordered"}, ["TRADE", "NEW"]),
    ("F10", {"parts": 4}, ["NEW", "TRADE", "TRADE", "TRADE", "TRADE"]),
    ("F11", {"seconds": 0.1}, []),
]


@pytest.mark.parametrize(("name", "options", "expected"), REPORT_FAULTS, ids=lambda v: str(v)[:24])
def test_reports_are_doubled_lost_swapped_split_or_cut_off(name: str, options: Any, expected: list[str]) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def act() -> None:
            if name:
                arm(server, name, **options)
            order = await buy(client)
            assert order["filled"] == 0.01

        events = await reports_of(server, act, to_the_end=name == "F11")
        assert executions(events) == expected
        assert ("CLOSED" in events or "ERROR" in events) is (name == "F11")

    play(script)


def test_a_report_comes_before_the_reply() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F9", seconds=0.3)
        watching = asyncio.create_task(client.watch_orders("BTC/USDT"))
        while not any(e["name"].startswith("userData") for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        order = asyncio.create_task(buy(client))
        await watching
        assert not order.done()
        assert (await order)["status"] == "closed"

    play(script)


def test_a_handshake_is_refused() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F16", status=503)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(server.described()["ws_url"] + "/stream/ws/0")
            assert caught.value.status == 503
            await (await session.ws_connect(server.described()["ws_url"] + "/stream/ws/0")).close()

    play(script)


def test_a_cancel_loses_the_race_against_a_fill() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        order = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 20_000.0)
        arm(server, "F28")
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(order["id"], "BTC/USDT")
        assert (await client.fetch_order(order["id"], "BTC/USDT"))["filled"] == 0.01

    play(script)


@pytest.mark.parametrize(("how", "executed"), [("before", 0), ("after", 1), ("partial", 1)])
def test_the_trading_process_is_killed_at_a_point_of_its_order(how: str, executed: int) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        victim = begin([sys.executable, "-c", "import time; time.sleep(600)"])
        arm(server, "F30", pid=victim.pid, how=how)
        arm(server, "F4", after_bars=99)  # keeps the order itself untouched
        order = await buy(client)
        assert victim.wait(PATIENCE_S) == -9
        assert len(server.venue.exchange.order_index.orders) == 1
        assert order["filled"] == (0.005 if how == "partial" else 0.01)

    play(script)


def test_the_trading_process_is_asked_to_end_while_it_holds_a_position() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        victim = begin([sys.executable, "-c", "import time; time.sleep(600)"])
        arm(server, "F31", pid=victim.pid)
        await buy(client)
        assert victim.wait(PATIENCE_S) == -15

    play(script)


def test_an_execution_leaves_dust() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F39")
        order = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 999_999.0)
        assert 0 < order["remaining"] * order["average"] < 5

    play(script)
