"""Socket connections end at their lifetime and can be refused."""

from __future__ import annotations

import aiohttp

from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.binance.raw_client import Ask, play


def test_a_connection_ends_after_its_time() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            message = await socket.receive(timeout=5)
            while message.type is aiohttp.WSMsgType.PING:
                message = await socket.receive(timeout=5)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    play(script, connection_life_s=0.2)
