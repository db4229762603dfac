"""The open connections of a venue, and the life of each: pings, silence, an end after its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from aiohttp import WSMessage, WSMsgType, web

from forwardtrader.sandbox.transport.send_queue import Outbox

T = TypeVar("T")
PING_EVERY_S: Final = 20.0
DEAF_AFTER_S: Final = 60.0
MARKET: Final = "market"
USER: Final = "user"


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """The HTTP answer to a handshake that is not accepted; `retry_after` is its header, in seconds."""

    status: int
    retry_after: str


class HandshakeGate(Protocol):
    """Decides whether a socket may open; a fault switch is one."""

    def refusal(self, which: str) -> RefusedHandshake | None:
        """The answer to a handshake of that kind of connection, or None to accept it."""
        ...


class Sockets:
    """All connections by kind: `market` for public streams, `user` for the account's own."""

    def __init__(self, gate: HandshakeGate, life_s: float, latency_s: float = 0.0) -> None:
        self._gate = gate
        self.latency_s = latency_s  # before a request of the account's is heard
        self._life_s = life_s
        self._open: dict[str, set[Outbox]] = {MARKET: set(), USER: set()}
        self._shut_until = {MARKET: 0.0, USER: 0.0}

    def chosen(self, which: str) -> list[Outbox]:
        """The outboxes of `market`, `user` or `all` connections."""
        kinds = (MARKET, USER) if which == "all" else (which,)
        return [outbox for kind in kinds for outbox in self._open[kind]]

    def cut(self, which: str, *, reset: bool, shut_s: float = 0.0) -> int:
        """End connections; refuse new ones of that kind for `shut_s` seconds. Returns how many were ended."""
        ended = self.chosen(which)
        for kind in (MARKET, USER) if which == "all" else (which,):
            self._shut_until[kind] = time.monotonic() + shut_s
        for outbox in ended:
            outbox.reset() if reset else outbox.close()
        return len(ended)

    def counts(self) -> dict[str, int]:
        """How many connections of each kind are open."""
        return {kind: len(self._open[kind]) for kind in (MARKET, USER)}

    async def converse(
        self,
        request: web.Request,
        which: str,
        *,
        greet: Callable[[Outbox], T],
        hear: Callable[[T, str | bytes], None],
        part: Callable[[T], None],
    ) -> web.StreamResponse:
        """Serve one connection from handshake to end; `greet` makes its state, `hear` takes each message, `part` cleans up."""
        refusal = self._refusal(which)
        if refusal is not None:
            return refusal
        response = web.WebSocketResponse(max_msg_size=4 * 1024 * 1024, autoping=False, compress=False)
        await response.prepare(request)
        outbox = Outbox(response, request.transport)
        self._open[which].add(outbox)
        tasks = [asyncio.create_task(outbox.write()), asyncio.create_task(self._keep(outbox))]
        state = greet(outbox)
        wait = self.latency_s if which == USER else 0.0
        try:
            async for message in response:
                await self._take(message, outbox, partial(hear, state), wait)
        finally:
            self._open[which].discard(outbox)
            part(state)
            for task in tasks:
                task.cancel()
        return response

    @staticmethod
    async def _take(message: WSMessage, outbox: Outbox, hear: Callable[[str | bytes], None], wait: float) -> None:
        if outbox.silent:
            return
        outbox.heard_at = time.monotonic()
        if message.type is WSMsgType.PING:
            await outbox.socket.pong(message.data)
        elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if wait:
                asyncio.get_running_loop().call_later(wait, hear, message.data)
            else:
                hear(message.data)

    def _refusal(self, which: str) -> web.Response | None:
        if time.monotonic() < self._shut_until[which]:
            return web.Response(status=503, text="Service Unavailable")
        refused = self._gate.refusal(which)
        return None if refused is None else web.Response(status=refused.status, headers={"Retry-After": refused.retry_after})

    async def _keep(self, outbox: Outbox) -> None:
        """Ping as Binance does, close what does not answer, and everything once its time is over."""
        begun = time.monotonic()
        while not outbox.socket.closed:
            await asyncio.sleep(min(PING_EVERY_S, self._life_s))
            now = time.monotonic()
            if outbox.silent:
                continue
            if now - outbox.heard_at > DEAF_AFTER_S or now - begun >= self._life_s:
                outbox.close()
                return
            await outbox.socket.ping()
