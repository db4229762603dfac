"""Socket connections: handshake, ping and idle timeout, maximum lifetime, disconnects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from aiohttp import WSMessage, WSMsgType, web

from forwardtrader.sandbox.transport.send_queue import SendQueue

T = TypeVar("T")
PING_EVERY_S: Final = 20.0
IDLE_TIMEOUT_S: Final = 60.0
MARKET: Final = "market"
USER: Final = "user"


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """The HTTP answer to a handshake that is not accepted; `retry_after` is its header, in seconds."""

    status: int
    retry_after: str


class HandshakeGate(Protocol):
    """Accepts or refuses socket handshakes, e.g. a fault switch."""

    def refusal(self, which: str) -> RefusedHandshake | None:
        """The answer to a handshake of that kind of connection, or None to accept it."""
        ...


class Sockets:
    """All open connections by kind: `market` for public streams, `user` for the account's private ones."""

    def __init__(self, gate: HandshakeGate, life_s: float, latency_s: float = 0.0) -> None:
        self._gate = gate
        self.latency_s = latency_s  # delay before a message on a user socket is handled
        self._life_s = life_s
        self._open: dict[str, set[SendQueue]] = {MARKET: set(), USER: set()}
        self._shut_until = {MARKET: 0.0, USER: 0.0}

    def connections(self, which: str) -> list[SendQueue]:
        """The send queues of the `market`, `user` or `all` connections."""
        kinds = (MARKET, USER) if which == "all" else (which,)
        return [queue for kind in kinds for queue in self._open[kind]]

    def disconnect(self, which: str, *, reset: bool, shut_s: float = 0.0) -> int:
        """Close connections and refuse new ones of that kind for `shut_s` seconds; returns how many were closed."""
        ended = self.connections(which)
        for kind in (MARKET, USER) if which == "all" else (which,):
            self._shut_until[kind] = time.monotonic() + shut_s
        for queue in ended:
            queue.reset() if reset else queue.close()
        return len(ended)

    def counts(self) -> dict[str, int]:
        """How many connections of each kind are open."""
        return {kind: len(self._open[kind]) for kind in (MARKET, USER)}

    async def serve_socket(
        self,
        request: web.Request,
        which: str,
        *,
        on_open: Callable[[SendQueue], T],
        on_message: Callable[[T, str | bytes], None],
        on_close: Callable[[T], None],
    ) -> web.StreamResponse:
        """Serve one connection: `on_open` returns its state, `on_message` handles each message, `on_close` cleans up."""
        refusal = self._refusal(which)
        if refusal is not None:
            return refusal
        response = web.WebSocketResponse(max_msg_size=4 * 1024 * 1024, autoping=False, compress=False)
        await response.prepare(request)
        queue = SendQueue(response, request.transport)
        self._open[which].add(queue)
        tasks = [asyncio.create_task(queue.write()), asyncio.create_task(self._keep(queue))]
        state = on_open(queue)
        wait = self.latency_s if which == USER else 0.0
        try:
            async for message in response:
                await self._receive(message, queue, partial(on_message, state), wait)
        finally:
            self._open[which].discard(queue)
            on_close(state)
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

    def _refusal(self, which: str) -> web.Response | None:
        if time.monotonic() < self._shut_until[which]:
            return web.Response(status=503, text="Service Unavailable")
        refused = self._gate.refusal(which)
        return None if refused is None else web.Response(status=refused.status, headers={"Retry-After": refused.retry_after})

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
