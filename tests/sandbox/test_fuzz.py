"""Nonsense of every kind gets one of Binance's own errors, and the exchange goes on serving."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import string
import time
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import pytest

from forwardtrader.sandbox.binance.auth import socket_payload
from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running

PATHS = [
    "order",
    "account",
    "klines",
    "exchangeInfo",
    "depth",
    "myTrades",
    "openOrders",
    "allOrders",
    "orderList/oco",
    "orderList",
    "x/../y",
]
WORDS = [
    "BTCUSDT", "", "0", "-1", "1e5", "NaN", "0.000000000000000000000000001", "99999999999999999999999999", "é\x00\x07", "null", "true",
    "MARKET", "LIMIT", "BUY", "SELL", "GTC", "'; DROP TABLE orders;--", "٣", "１", "[]", "{}", "%", "a" * 4000, "1m", "1.5",
]  # fmt: skip
NAMES = [
    "symbol", "side", "type", "quantity", "price", "stopPrice", "timeInForce", "quoteOrderQty", "newClientOrderId", "orderId", "limit",
    "origClientOrderId", "startTime", "endTime", "fromId", "interval", "recvWindow", "timestamp", "signature", "newOrderRespType", "bogus",
    "aboveType", "belowType", "abovePrice", "belowStopPrice", "orderListId",
]  # fmt: skip


def is_the_venues_own(status: int, body: bytes) -> bool:
    if status == 200:
        return True
    answer = orjson.loads(body)
    return isinstance(answer["code"], int) and -9999 < answer["code"] < -999 and bool(answer["msg"]) and answer["code"] != -1000


def nonsense(rng: random.Random) -> dict[str, str]:
    chosen = rng.sample(NAMES, rng.randint(0, 9))
    return {name: rng.choice(WORDS) if rng.random() < 0.8 else "".join(rng.choices(string.printable, k=20)) for name in chosen}


def sensible(rng: random.Random) -> dict[str, str]:
    """A nearly right order, one field replaced by nonsense."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "20000.00", "timeInForce": "GTC"}
    order[rng.choice([*order, *NAMES])] = rng.choice(WORDS)
    return order


def sign(server: SandboxServer, params: dict[str, str]) -> str:
    query = urlencode({"timestamp": str(int(time.time() * 1000))} | params)
    return f"{query}&signature={hmac.new(server.venue.keys.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


async def still_serves(server: SandboxServer, session: aiohttp.ClientSession) -> bool:
    async with session.get(server.described()["url"] + "/api/v3/time") as answer:
        return answer.status == 200


def play(script: Any) -> None:
    async def whole() -> None:
        async with running() as server, aiohttp.ClientSession() as session:
            await script(server, session)
            assert await still_serves(server, session)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_random_requests_get_the_venues_own_errors() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        rng = random.Random(1)
        url, key = server.described()["url"], server.venue.keys.api_key
        for number in range(600):
            method, path = rng.choice(["GET", "POST", "DELETE", "PUT", "PATCH"]), rng.choice(PATHS)
            if number % 2:
                method, path = "POST", rng.choice(["order", "order/test", "orderList/oco"])
            params = sensible(rng) if number % 2 else nonsense(rng)
            query = sign(server, params) if rng.random() < 0.8 else urlencode(params)
            target = aiohttp.client_reqrep.URL(f"{url}/api/v3/{quote(path)}?{query}", encoded=True)
            headers = {"X-MBX-APIKEY": key if rng.random() < 0.9 else rng.choice(["", "short", "é" * 64])}
            async with session.request(method, target, headers=headers) as answer:
                body = await answer.read()
                assert is_the_venues_own(answer.status, body), (method, path, params, answer.status, body[:300])

    play(script)


BODIES = [
    b"", b"{", b"\xff\xfe\x00", b"a=1&a=2", b"&&&==&", b"symbol=BTCUSDT" * 1000, b"x" * 1_000_000, b"a=" + b"%ff" * 300_000,
    b"&".join(b"p%d=1" % n for n in range(5000)),
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda b: f"{len(b)} bytes {b[:6]!r}")
def test_a_malformed_body_up_to_a_megabyte_is_refused(body: bytes) -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        headers = {"X-MBX-APIKEY": server.venue.keys.api_key, "Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(server.described()["url"] + "/api/v3/order", data=body, headers=headers) as answer:
            text = await answer.read()
            assert 400 <= answer.status < 500
            assert is_the_venues_own(answer.status, text)

    play(script)


MESSAGES: list[Any] = [
    b"", b"{", b"[]", b"null", b"7", b'"text"', b"\xff\xfe", b'{"id":1}', b'{"id":[1],"method":"ping"}', b'{"id":1,"method":7}',
    b'{"id":1,"method":"ping","params":[]}', b'{"id":1,"method":"no.such"}', b'{"id":1,"method":"order.place","params":{"symbol":{}}}',
    b'{"id":1,"method":"order.place","params":{"timestamp":1e400}}', b"[" * 100_000, b'{"a":' * 50_000, b"x" * 1_000_000,
    b'{"id":1,"method":"userDataStream.subscribe.signature","params":{"apiKey":null}}',
    b'{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":"x"}}',
    b'{"id":"' + b"i" * 900_000 + b'","method":"ping"}',
]  # fmt: skip


def test_malformed_messages_to_the_api_socket_are_answered_and_it_lives_on() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(server.described()["ws_url"] + "/ws-api/v3", max_msg_size=0) as socket:
            for raw in MESSAGES:
                await socket.send_bytes(raw)
                reply = (await socket.receive(timeout=PATIENCE_S)).json()
                assert reply["status"] == 200 or -9999 < reply["error"]["code"] < -1000, (raw[:60], reply)
            rng = random.Random(2)
            for number in range(300):
                params: dict[str, str] = {"timestamp": str(int(time.time() * 1000)), "apiKey": server.venue.keys.api_key} | sensible(rng)
                params["signature"] = hmac.new(
                    server.venue.keys.api_secret.encode(), socket_payload(params).encode(), hashlib.sha256
                ).hexdigest()
                await socket.send_bytes(orjson.dumps({"id": number, "method": "order.place", "params": params}))
                reply = (await socket.receive(timeout=PATIENCE_S)).json()
                assert reply["status"] == 200 or -9999 < reply["error"]["code"] < -1000, (params, reply)

    play(script)


def test_malformed_messages_to_the_market_socket_are_answered_and_it_lives_on() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            for raw in [*MESSAGES[:11], b'{"method":"SUBSCRIBE","params":[1],"id":1}', b'{"method":"SUBSCRIBE","params":[],"id":1}']:
                await socket.send_bytes(raw)
                assert "error" in (await socket.receive(timeout=PATIENCE_S)).json(), raw
            await socket.send_json({"method": "SUBSCRIBE", "params": ["é@kline_1m", "btcusdt@kline_7m", "@", "btcusdt@kline_1m"], "id": 9})
            assert (await socket.receive(timeout=PATIENCE_S)).json() == {"result": None, "id": 9}
            server.venue.driver.advance()
            assert (await socket.receive(timeout=PATIENCE_S)).json()["e"] == "kline"

    play(script)
