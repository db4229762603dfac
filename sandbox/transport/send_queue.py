"""Send queue of one socket: messages go out in order, and the engine never waits for them."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, web

LONGEST: Final = 100_000  # a client with a longer backlog is disconnected


class SendQueue:
    """Queues messages for a socket and writes them from its own task."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.socket = socket
        self.received_at = time.monotonic()
        self.silent = False  # a half-open connection: nothing gets through, nothing fails
        self._transport = transport
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(LONGEST)
        self._closing: asyncio.Task[bool] | None = None

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
                await self.socket.send_str(message.decode(errors="replace"))
            except (ConnectionError, RuntimeError):
                return

    def reset(self) -> None:
        """Abort the connection without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Send a close frame, after the queued messages."""
        self._closing = asyncio.ensure_future(self._close(code))

    async def _close(self, code: int) -> bool:
        while not self._queue.empty() and not self.socket.closed:
            await asyncio.sleep(0)
        return await self.socket.close(code=code)
