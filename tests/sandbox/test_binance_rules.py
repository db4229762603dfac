"""Signing, time windows, weights, limits and the exact words of Binance's errors, as a raw client sees them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.ccxt_clients import running

Ask = Callable[..., Awaitable[tuple[int, Any, Any]]]


def play(script: Callable[[SandboxServer, Ask], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with running(**settings) as server, aiohttp.ClientSession() as session:

            async def ask(method: str, path: str, *, key: str | None = None, sign: bool = True, late_ms: int = 0, **params: Any) -> Any:
                query = urlencode(params)
                if sign:
                    query = urlencode({"timestamp": int(time.time() * 1000) - late_ms, **params})
                    query += "&signature=" + hmac.new(server.venue.keys.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
                headers = {"X-MBX-APIKEY": server.venue.keys.api_key if key is None else key}
                async with session.request(method, f"{server.described()['url']}/api/v3/{path}?{query}", headers=headers) as answer:
                    return answer.status, await answer.json(), answer.headers

            await script(server, ask)

    asyncio.run(asyncio.wait_for(whole(), 20))


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "20000.00"}
ILLEGAL = "Illegal characters found in parameter '%s'; legal range is '%s'."
WORDS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"late_ms": 6000}, 400, -1021, "Timestamp for this request is outside of the recvWindow."),
    ({"late_ms": -1500}, 400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    ({"late_ms": 9000, "recvWindow": 10000}, 200, 0, ""),
    ({"recvWindow": 60001}, 400, -1131, "recvWindow must be less than 60000"),
    ({"key": "x" * 64}, 401, -2015, "Invalid API-key, IP, or permissions for action."),
    ({"key": ""}, 401, -2014, "API-key format invalid."),
    ({"sign": False, "timestamp": 1, "signature": "00"}, 400, -1022, "Signature for this request is not valid."),
    ({"symbol": "NOSUCH"}, 400, -1121, "Invalid symbol."),
    ({"side": "HOLD"}, 400, -1117, "Invalid side."),
    ({"type": "WISH"}, 400, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, 400, -1115, "Invalid timeInForce."),
    ({"quantity": ""}, 400, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
    ({"quantity": "1e3"}, 400, -1100, ILLEGAL % ("quantity", r"^([0-9]{1,20})(\.[0-9]{1,20})?$")),
    ({"stopPrice": "1"}, 400, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"bogus": "1"}, 400, -1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
    ({"quantity": "0.000001"}, 400, -1013, "Filter failure: LOT_SIZE"),
    ({"price": "20000.001"}, 400, -1013, "Filter failure: PRICE_FILTER"),
    ({"quantity": "0.0001"}, 400, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "5"}, 400, -2010, "Account has insufficient balance for requested action."),
    ({"newClientOrderId": "a b"}, 400, -1100, ILLEGAL % ("newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "code", "words"), WORDS, ids=lambda v: str(v)[:30])
def test_an_order_is_refused_with_binances_code_and_words(change: dict[str, Any], status: int, code: int, words: str) -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        got, body, _ = await ask("POST", "order", **{**ORDER, **change})
        assert got == status
        if code:
            assert body == {"code": code, "msg": words}

    play(script)


def test_cancel_and_query_of_nothing_are_told_apart() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        gone = {"symbol": "BTCUSDT", "orderId": 7}
        assert (await ask("DELETE", "order", **gone))[1] == {"code": -2011, "msg": "Unknown order sent."}
        assert (await ask("GET", "order", **gone))[1] == {"code": -2013, "msg": "Order does not exist."}

    play(script)


def test_used_weight_is_told_and_its_limit_kept() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        _, _, headers = await ask("GET", "exchangeInfo", sign=False)
        assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
        status = 200
        while status == 200:
            status, body, headers = await ask("GET", "exchangeInfo", sign=False)
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60

    play(script, limits="on", weight_per_minute=100)


def test_too_many_orders_are_refused() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        for _ in range(3):
            status, _, headers = await ask("POST", "order", **ORDER)
        assert (status, headers["X-MBX-ORDER-COUNT-10S"]) == (200, "3")
        status, body, _ = await ask("POST", "order", **ORDER)
        assert (status, body["code"], body["msg"]) == (429, -1015, "Too many new orders; current limit is 3 orders per 10 SECOND.")

    play(script, limits="on", orders_per_10s=3)


def test_candles_are_paged_from_the_start_or_from_the_end() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async def starts(**params: Any) -> list[int]:
            _, rows, _ = await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="1m", **params)
            return [(row[0] - first) // 60_000 for row in rows]

        first = 0
        first = (await starts(limit=1000))[0] * 60_000
        assert await starts(limit=3) == [48, 49, 50]  # the last ones, the running one with them
        assert await starts(limit=3, startTime=first) == [0, 1, 2]
        assert await starts(limit=3, endTime=first + 10 * 60_000) == [8, 9, 10]
        _, hourly, _ = await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="1h")
        assert all(row[0] % 3_600_000 == 0 for row in hourly)
        assert (await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="7m"))[1] == {"code": -1120, "msg": "Invalid interval."}

    play(script, history=50)


def test_a_market_socket_that_talks_too_much_is_closed() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            for number in range(7):
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
            kinds = [(await socket.receive(timeout=2)).type for _ in range(6)]
            assert kinds[-1] in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)

    play(script, limits="on")


def test_a_connection_ends_after_its_time() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            message = await socket.receive(timeout=5)
            while message.type is aiohttp.WSMsgType.PING:
                message = await socket.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    play(script, connection_life_s=0.2)
