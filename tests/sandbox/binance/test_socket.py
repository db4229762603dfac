"""The market streams of the Binance protocol, as a raw client sees them."""

from __future__ import annotations

import aiohttp

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.binance.raw_client import Ask, play


def test_a_market_socket_over_its_message_limit_is_closed() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            for number in range(7):
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
            kinds = [(await socket.receive(timeout=PATIENCE_S)).type for _ in range(6)]
            assert kinds[-1] in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING)

    play(script, limits="on")
