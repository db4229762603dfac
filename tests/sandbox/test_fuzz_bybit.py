"""Nonsense gets one of Bybit's own return codes, and the exchange goes on serving."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from typing import Any

import aiohttp
import orjson

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running
from tests.sandbox.test_fuzz import MESSAGES, WORDS

PATHS = [
    "order/create", "order/cancel", "order/cancel-all", "order/realtime", "order/history", "execution/list", "market/kline",
    "market/tickers", "market/instruments-info", "market/orderbook", "account/wallet-balance", "position/list", "no/such",
]  # fmt: skip
GOOD = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "20000", "interval": "1"}
ODD: list[Any] = [*WORDS, None, 0, -1, 1.5, True, [], {}, [1], {"a": 1}, 10**30]


def nearly_right(rng: random.Random) -> dict[str, Any]:
    names = [
        *GOOD,
        "orderLinkId",
        "orderId",
        "timeInForce",
        "triggerPrice",
        "triggerDirection",
        "limit",
        "start",
        "reduceOnly",
        "marketUnit",
    ]
    asked: dict[str, Any] = dict(GOOD) | {"category": rng.choice(["spot", "linear"])}
    for name in rng.sample(names, rng.randint(1, 2)):
        asked[name] = rng.choice(ODD)
    return asked


def signed(server: SandboxServer, payload: bytes) -> dict[str, str]:
    keys, stamp = server.venue.keys, str(int(time.time() * 1000))
    text = f"{stamp}{keys.api_key}5000".encode() + payload
    sign = hmac.new(keys.api_secret.encode(), text, hashlib.sha256).hexdigest()
    return {"X-BAPI-API-KEY": keys.api_key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000", "X-BAPI-SIGN": sign}


def play(script: Any) -> None:
    async def whole() -> None:
        symbols = ["BTC/USDT", "BTC/USDT:USDT"]
        async with running(protocol="bybit", symbols=symbols) as server, aiohttp.ClientSession() as session:
            await script(server, session)
            async with session.get(server.described()["url"] + "/v5/market/time") as answer:
                assert (await answer.json())["retCode"] == 0

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_random_requests_get_the_venues_own_codes() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        rng = random.Random(3)
        url = server.described()["url"]
        for number in range(500):
            asked = nearly_right(rng)
            if number % 2:
                body = orjson.dumps(asked, option=orjson.OPT_PASSTHROUGH_SUBCLASS) if 10**30 not in asked.values() else b"{}"
                request = session.post(f"{url}/v5/{rng.choice(PATHS[:3])}", data=body, headers=signed(server, body))
            else:
                query = "&".join(f"{k}={str(v).replace(' ', '').replace('#', '')}" for k, v in asked.items())
                target = aiohttp.client_reqrep.URL(f"{url}/v5/{rng.choice(PATHS)}?{query}")
                request = session.get(target, headers=signed(server, target.raw_query_string.encode()))
            async with request as answer:
                body = await answer.json()
                assert isinstance(body["retCode"], int)
                assert body["retCode"] != 10016, (asked, body)

    play(script)


def test_malformed_bodies_are_refused() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        for body in [b"", b"{", b"[]", b"7", b"\xff", b"x" * 1_000_000, b'{"a":' * 40_000, b"[" * 100_000]:
            url = server.described()["url"] + "/v5/order/create"
            async with session.post(url, data=body, headers=signed(server, body)) as answer:
                assert (await answer.json())["retCode"] in (10001, 10004), body[:20]

    play(script)


def test_malformed_frames_are_answered_and_the_sockets_live_on() -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        ws = server.described()["ws_url"]
        frames = [m for m in MESSAGES if b'"i' * 2 not in m] + [
            b'{"op":"subscribe","args":[1,{}]}', b'{"op":"subscribe","args":"x"}', b'{"op":"subscribe","args":["kline.1.NOSUCH"]}',
            b'{"op":"auth"}', b'{"op":"auth","args":["a","b","c"]}', b'{"op":"order.create","args":[]}', b'{"op":[]}',
        ]  # fmt: skip
        for path in ("/v5/public/spot", "/v5/private", "/v5/trade"):
            async with session.ws_connect(ws + path, max_msg_size=0) as socket:
                for frame in frames:
                    await socket.send_bytes(frame)
                    reply = (await socket.receive(timeout=PATIENCE_S)).json()
                    assert reply.get("success") in (True, False) or "retCode" in reply, (path, frame[:40], reply)
                await socket.send_json({"op": "ping", "req_id": "1"})
                assert "pong" in str((await socket.receive(timeout=PATIENCE_S)).json())

    play(script)
