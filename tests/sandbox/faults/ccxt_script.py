"""Scripts of a ccxt client against a practice exchange with armed faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import binance_on, running

Script = Callable[[SandboxServer, Any], Awaitable[None]]


def play(script: Script, **settings: Any) -> None:
    async def whole() -> None:
        async with running(**settings) as server, binance_on(server) as client:
            await client.load_markets()
            client.timeout = 1500  # ms; what a fault leaves unanswered is waited for so long
            await script(server, client)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def arm(server: SandboxServer, name: str, **options: Any) -> None:
    server.exchange.faults.arm(name, options)


async def buy(client: Any, cid: str = "mine") -> Any:
    return await client.create_order("BTC/USDT", "market", "buy", 0.01, None, {"newClientOrderId": cid})


async def lookup(client: Any, cid: str = "mine") -> Any:
    return await client.fetch_order(None, "BTC/USDT", {"origClientOrderId": cid})


async def reports_of(server: SandboxServer, act: Callable[[], Awaitable[Any]], *, to_the_end: bool = False) -> list[Any]:
    """The private events that a raw client receives while `act` runs; or until its socket has ended, whose kind of end comes last."""
    described = server.described()
    import hashlib
    import hmac

    from forwardtrader.sandbox.binance.auth import socket_payload

    params = {"apiKey": described["api_key"], "timestamp": str(int(time.time() * 1000))}
    params["signature"] = hmac.new(described["api_secret"].encode(), socket_payload(params).encode(), hashlib.sha256).hexdigest()
    got: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(described["ws_url"] + "/ws-api/v3") as socket:
        await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
        assert (await socket.receive_json())["status"] == 200
        await act()
        if not to_the_end:
            await socket.send_json({"id": "last", "method": "ping"})  # answered after everything that was to be sent
        while True:
            message = await socket.receive(timeout=PATIENCE_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return [*got, message.type.name]
            if message.json().get("id") == "last":
                return got
            got.append(message.json()["event"])


def executions(events: list[Any]) -> list[Any]:
    return [e["x"] for e in events if isinstance(e, dict) and e["e"] == "executionReport"]


async def closes_seen(server: SandboxServer, act: Callable[[], Awaitable[None]]) -> list[Any]:
    """The closed candles, or broken messages, that a raw market socket receives."""
    got: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws/btcusdt@kline_1m") as socket:
        await asyncio.sleep(0.05)
        await act()
        try:
            while True:
                message = await socket.receive(timeout=1.5)
                try:
                    k = message.json()["k"]
                    if k["x"]:
                        got.append((k["t"] // 60_000 % 1000, k["c"]))
                except ValueError:
                    got.append("broken")
        except TimeoutError:
            return got
