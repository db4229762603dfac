"""A raw client of the Binance protocol that signs its own requests."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
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

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))
