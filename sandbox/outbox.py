"""Messages on their way to one socket: sent in order, never awaited by the engine."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiohttp import web

LONGEST: Final = 100_000  # a client that lets so many messages pile up is cut off


class Outbox:
    """Queues messages for a socket and writes them from its own task."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.silent = False  # a half-open connection: nothing gets through, nothing fails
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(LONGEST)

    def put(self, message: Any) -> None:
        self.put_bytes(orjson.dumps(message))

    def put_bytes(self, message: bytes) -> None:
        if self.silent or self.socket.closed:
            return
        if self._queue.full():
            self.reset()
            return
        self._queue.put_nowait(message)

    async def write(self) -> None:
        """Send until the socket is gone."""
        while not self.socket.closed:
            message = await self._queue.get()
            if self.silent:
                continue
            try:
                await self.socket.send_str(message.decode())
            except (ConnectionError, RuntimeError):
                return

    def reset(self) -> None:
        """Cut the connection without a goodbye."""
        transport = self.socket._req.transport if self.socket._req is not None else None
        if transport is not None:
            transport.abort()
