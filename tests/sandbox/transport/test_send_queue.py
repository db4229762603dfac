"""The send queue of a socket: messages in order, silence, a limit to its backlog, orderly and abrupt ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from forwardtrader.sandbox.transport import send_queue
from forwardtrader.sandbox.transport.send_queue import SendQueue
from tests import PATIENCE_S

Script = Callable[[SendQueue, aiohttp.ClientWebSocketResponse], Awaitable[None]]


def connected(script: Script) -> None:
    """Run `script` with the queue of a server's socket and the client at its other end."""

    async def whole() -> None:
        opened: asyncio.Future[SendQueue] = asyncio.get_running_loop().create_future()

        async def handle(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            queue = SendQueue(socket, request.transport)
            writer = asyncio.create_task(queue.write())
            opened.set_result(queue)
            async for _ in socket:
                pass
            writer.cancel()
            return socket

        app = web.Application()
        app.router.add_get("/", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with aiohttp.ClientSession() as session:
                client = await session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/")
                await script(await opened, client)
                await client.close()
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_messages_arrive_in_their_order() -> None:
    async def script(queue: SendQueue, client: aiohttp.ClientWebSocketResponse) -> None:
        for number in range(50):
            queue.put({"n": number})
        assert [(await client.receive_json())["n"] for _ in range(50)] == list(range(50))

    connected(script)


def test_a_silent_queue_drops_what_it_is_given() -> None:
    async def script(queue: SendQueue, client: aiohttp.ClientWebSocketResponse) -> None:
        queue.silent = True
        queue.put("lost")
        await asyncio.sleep(0.02)
        queue.silent = False
        queue.put("sent")
        assert await client.receive_json() == "sent"

    connected(script)


def test_a_close_follows_the_queued_messages() -> None:
    async def script(queue: SendQueue, client: aiohttp.ClientWebSocketResponse) -> None:
        for number in range(50):  # more than the connection takes at once
            queue.put([number, "x" * 100_000])
        queue.close()
        assert [(await client.receive_json())[0] for _ in range(50)] == list(range(50))
        ended = await client.receive(timeout=PATIENCE_S)
        assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    connected(script)


def test_a_reset_ends_without_a_close_frame() -> None:
    async def script(queue: SendQueue, client: aiohttp.ClientWebSocketResponse) -> None:
        queue.reset()
        assert (await client.receive(timeout=PATIENCE_S)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert client.close_code != 1001

    connected(script)


def test_a_client_with_too_long_a_backlog_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_queue, "LONGEST", 3)

    async def script(queue: SendQueue, client: aiohttp.ClientWebSocketResponse) -> None:
        for number in range(5):  # at once: the writer has had no turn
            queue.put(number)
        received = [message.type async for message in client]
        assert aiohttp.WSMsgType.CLOSE not in received
        assert client.closed

    connected(script)
