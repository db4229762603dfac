"""Socket connections end at their lifetime and can be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from aiohttp import web

from forwardtrader.sandbox.server import SandboxServer
from forwardtrader.sandbox.transport.socket_server import SocketServer
from forwardtrader.sandbox.transport.sockets import MARKET, USER, Conversation, MessageSink, RefusedHandshake, Sockets
from tests import PATIENCE_S
from tests.sandbox.binance.raw_client import Ask, play


def test_a_connection_ends_after_its_time() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws") as socket:
            message = await socket.receive(timeout=PATIENCE_S)
            while message.type is aiohttp.WSMsgType.PING:
                message = await socket.receive(timeout=PATIENCE_S)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    play(script, connection_life_s=0.2)


class Gate:
    """Refuses all handshakes of one kind."""

    def refusal(self, which: str) -> RefusedHandshake | None:
        return RefusedHandshake(429, "7") if which == USER else None


class Echo:
    """Answers every message with the kind of its connection."""

    def __init__(self, which: str) -> None:
        self.which = which

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        return Conversation(lambda raw: sink.put(self.which), lambda: None)


def test_the_gate_refuses_handshakes_of_its_kind_and_closed_kinds_are_shut_for_a_while() -> None:
    async def whole() -> None:
        sockets = Sockets(Gate())
        server = SocketServer(sockets, life_s=60.0)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await server.serve(request, Echo(request.match_info["kind"]))

        app = web.Application()
        app.router.add_get("/{kind}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(f"{base}/{USER}")
                assert (refused.value.status, refused.value.headers and refused.value.headers["Retry-After"]) == (429, "7")
                socket = await session.ws_connect(f"{base}/{MARKET}")
                await socket.send_str("hello")
                assert await socket.receive_json() == MARKET
                assert sockets.counts() == {MARKET: 1, USER: 0}
                assert sockets.disconnect("all", reset=False, shut_s=60.0) == 1
                assert (await socket.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE
                with pytest.raises(aiohttp.WSServerHandshakeError) as shut:
                    await session.ws_connect(f"{base}/{MARKET}")
                assert shut.value.status == 503
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))
