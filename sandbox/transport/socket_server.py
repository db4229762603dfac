"""Sockets over the network: handshake, ping and idle timeout, maximum lifetime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from forwardtrader.sandbox.transport.send_queue import SendQueue
from forwardtrader.sandbox.transport.sockets import USER, SocketEndpoint, Sockets

PING_EVERY_S: Final = 20.0
IDLE_TIMEOUT_S: Final = 60.0


class SocketServer:
    """Serves connections and keeps them in `sockets`.

    Args:
        life_s: how long a connection may last.
        latency_s: delay before a message on a user socket is handled.
    """

    def __init__(self, sockets: Sockets, life_s: float, latency_s: float = 0.0) -> None:
        self._sockets = sockets
        self._life_s = life_s
        self._latency_s = latency_s

    async def serve(self, request: web.Request, endpoint: SocketEndpoint) -> web.StreamResponse:
        """Serve one connection until it ends."""
        refused = self._sockets.refusal(endpoint.which)
        if refused is not None:
            return web.Response(status=refused.status, headers={"Retry-After": refused.retry_after})
        response = web.WebSocketResponse(max_msg_size=4 * 1024 * 1024, autoping=False, compress=False)
        await response.prepare(request)
        queue = SendQueue(response, request.transport)
        self._sockets.add(endpoint.which, queue)
        tasks = [asyncio.create_task(queue.write()), asyncio.create_task(self._keep(queue))]
        conversation = endpoint.connect(queue, request.path, dict(request.query))
        wait = self._latency_s if endpoint.which == USER else 0.0
        try:
            async for message in response:
                await self._receive(message, queue, conversation.receive, wait)
        finally:
            self._sockets.discard(endpoint.which, queue)
            conversation.end()
            for task in tasks:
                task.cancel()
        return response

    @staticmethod
    async def _receive(message: WSMessage, queue: SendQueue, on_message: Callable[[str | bytes], None], wait: float) -> None:
        if queue.silent:
            return
        queue.received_at = time.monotonic()
        if message.type is WSMsgType.PING:
            await queue.socket.pong(message.data)
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if wait:
                asyncio.get_running_loop().call_later(wait, on_message, message.data)
            else:
                on_message(message.data)

    async def _keep(self, queue: SendQueue) -> None:
        """Ping at intervals; close an idle connection, and any at the end of its lifetime."""
        started = time.monotonic()
        while not queue.socket.closed:
            await asyncio.sleep(min(PING_EVERY_S, self._life_s))
            now = time.monotonic()
            if queue.silent:
                continue
            if now - queue.received_at > IDLE_TIMEOUT_S or now - started >= self._life_s:
                queue.close()
                return
            await queue.socket.ping()
