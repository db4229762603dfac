"""The wire between the real ccxt client and the practice exchange: requests and sockets without sockets."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import WSMessage, WSMsgType
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from tests.simulation.process_io import ProcessIo
from tests.simulation.virtual_loop import VirtualLoop

_CLOSED: Final = WSMessage(WSMsgType.CLOSED, None, None)
_HANGS_S: Final = 1e6


@dataclass(frozen=True)
class Weather:
    """How the network treats messages. Chances are of each request; delays in seconds."""

    fastest_s: float = 0.001
    slowest_s: float = 0.05
    lost: float = 0.0  # the request never arrives
    unanswered: float = 0.0  # the answer never arrives
    reset: float = 0.0  # the answer is lost and the connection breaks


class Venue(Protocol):
    """Answers what arrives."""

    is_down: bool

    def answer(self, request: HttpRequest) -> HttpAnswer: ...

    def delay_s(self, request: HttpRequest) -> float: ...

    def connect(self, socket: SimulatedSocket, path: str, query: Mapping[str, str]) -> int: ...


class Network:
    """Carries everything, each message with a delay of its own; those of one socket stay in order."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, venue: Venue, note: Callable[..., None]) -> None:
        self.loop = loop
        self.weather = Weather()
        self.venue = venue
        self.rng = rng
        self.note = note
        self._sockets = 0

    def next_socket(self) -> int:
        """Numbers the sockets."""
        self._sockets += 1
        return self._sockets

    def delay(self) -> float:
        return self.rng.uniform(self.weather.fastest_s, self.weather.slowest_s)

    def is_hit(self, chance: float) -> bool:
        return chance > 0 and self.rng.random() < chance


class SimulatedSession:
    """In the place of the aiohttp session of one ccxt client."""

    def __init__(self, network: Network, io: ProcessIo, on_sent: Callable[[str, str], None]) -> None:
        self.network, self.io, self.on_sent = network, io, on_sent
        self.headers: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in ("get", "post", "put", "delete"):
            raise AttributeError(name)

        def request(url: Any, **options: Any) -> SimulatedRequest:
            return SimulatedRequest(self, name.upper(), str(url), options)

        return request

    def ws_connect(self, url: str, **_options: Any) -> Handshake:
        return Handshake(self.network, self.io, url)

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedRequest:
    """One request and its answer, as an async context manager."""

    def __init__(self, session: SimulatedSession, method: str, url: str, options: Mapping[str, Any]) -> None:
        self._session, self._network, self._io = session, session.network, session.io
        self._method, self._url = method, urlsplit(url)
        self._body: bytes = options.get("data") or b""
        self._headers = options.get("headers") or {}
        self._timeout_s = options["timeout"].total
        self._answer: asyncio.Future[Answer] = self._network.loop.create_future()

    async def __aenter__(self) -> Answer:
        network, name = self._network, f"{self._method} {self._url.path}"
        self._io.step(f"before sending {name}")
        self._session.on_sent(self._method, self._url.path)
        network.note("sent", name=name)
        if not network.is_hit(network.weather.lost):
            network.loop.in_world(network.delay(), self._arrive)
        self._io.step(f"after sending {name}")
        timer = network.loop.call_later(self._timeout_s, self._fail, TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is held."""

    def _arrive(self) -> None:
        if self._network.venue.is_down:
            self._fail_later(0.0, "refused")
            return
        request = HttpRequest(self._method, self._url.path, self._url.query, self._headers, self._body)
        self._network.loop.in_world(self._network.venue.delay_s(request), self._serve, request)

    def _serve(self, request: HttpRequest) -> None:
        network, weather = self._network, self._network.weather
        answer = network.venue.answer(request)
        if answer.is_lost or network.venue.is_down or network.is_hit(weather.reset):
            self._fail_later(answer.delay_s, "reset")
        elif not network.is_hit(weather.unanswered):
            network.loop.in_world(answer.delay_s + network.delay(), self._deliver, Answer(answer))

    def _fail_later(self, seconds: float, why: str) -> None:
        self._network.loop.in_world(seconds + self._network.delay(), self._fail, aiohttp.ClientConnectionError(why))

    def _deliver(self, answer: Answer) -> None:
        if not self._io.is_dead and not self._answer.done():
            self._io.step(f"answer to {self._method} {self._url.path}")
            self._answer.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if not self._io.is_dead and not self._answer.done():
            self._answer.set_exception(error)


class Answer:
    """What ccxt uses of aiohttp's response."""

    reason = ""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status, self.content = answer.status, answer.body
        self.headers = {"Content-Type": answer.content_type, **answer.headers}

    async def text(self, errors: str = "strict") -> str:
        return self.content.decode(errors=errors)


class Handshake:
    """The opening of a socket."""

    def __init__(self, network: Network, io: ProcessIo, url: str) -> None:
        self._network, self._io, self._url = network, io, urlsplit(url)

    async def __aenter__(self) -> SimulatedSocket:
        network = self._network
        self._io.step(f"before connecting {self._url.path}")
        socket = SimulatedSocket(network, self._io)
        opened: asyncio.Future[None] = network.loop.create_future()
        network.loop.in_world(network.delay(), self._arrive, socket, opened)
        await opened
        return socket

    def _arrive(self, socket: SimulatedSocket, opened: asyncio.Future[None]) -> None:
        error: Exception | None = None
        if self._network.venue.is_down or self._io.is_dead:
            error = aiohttp.ClientConnectionError("refused")
        elif status := self._network.venue.connect(socket, self._url.path, dict(parse_qsl(self._url.query))):
            error = _refused(status)
        self._network.loop.in_world(self._network.delay(), self._settle, opened, error)

    def _settle(self, opened: asyncio.Future[None], error: Exception | None) -> None:
        if not self._io.is_dead and not opened.done():
            opened.set_result(None) if error is None else opened.set_exception(error)


def _refused(status: int) -> aiohttp.WSServerHandshakeError:
    info = aiohttp.RequestInfo(URL("ws://simulated"), "GET", CIMultiDictProxy(CIMultiDict()), URL("ws://simulated"))
    return aiohttp.WSServerHandshakeError(info, (), status=status, headers=CIMultiDict({"Retry-After": "1"}))


class SimulatedSocket:
    """The client's end, and the queue of the server's; messages of one direction stay in order."""

    _conn = None  # ccxt looks for aiohttp's buffer there

    def __init__(self, network: Network, io: ProcessIo) -> None:
        self._network, self._io = network, io
        self.number = network.next_socket()
        self.closed = False
        self.silent = False  # half-open: nothing gets through, nothing fails
        self.on_message: Callable[[str | bytes], None] = lambda _text: None
        self.on_close: Callable[[], None] = lambda: None
        self._arrived: deque[WSMessage] = deque()
        self._reader: asyncio.Future[WSMessage] | None = None
        self._next_in = self._next_out = 0.0

    # The client's side

    def receive(self) -> Any:
        return self._receive()

    async def _receive(self) -> WSMessage:
        if self._arrived:
            message = self._arrived.popleft()
        elif self.closed:
            return _CLOSED
        else:
            self._reader = self._network.loop.create_future()
            message = await self._reader
        self._io.step("socket message")
        return message

    async def send_str(self, text: str) -> None:
        self._io.step("before socket send")
        self._next_out = max(self._next_out, self._network.loop.now + self._network.delay())
        self._network.loop.in_world(self._next_out - self._network.loop.now, self._serve, text)

    async def ping(self, _message: bytes = b"") -> None:
        if not self.silent and not self._network.venue.is_down:
            self.enqueue(WSMessage(WSMsgType.PONG, b"", None))

    async def pong(self, _message: bytes = b"") -> None:
        """The server asks for none."""

    async def close(self, **_options: Any) -> bool:
        if not self.closed:
            self.closed = True
            self._network.loop.in_world(self._network.delay(), self.on_close)
        return True

    # The server's side

    def _serve(self, text: str) -> None:
        if not self.closed and not self.silent:
            self.on_message(text)

    def enqueue(self, message: WSMessage) -> None:
        """Send a message to the client."""
        if self.silent or self._io.is_dead:
            return
        self._next_in = max(self._next_in, self._network.loop.now + self._network.delay())
        self._network.loop.in_world(self._next_in - self._network.loop.now, self._deliver, message)

    def end(self) -> None:
        """Break the connection without a word."""
        self._network.loop.in_world(self._network.delay(), self._deliver, _CLOSED)
        self.on_close()

    def _deliver(self, message: WSMessage) -> None:
        if self._io.is_dead or self.closed:
            return
        if message.type is WSMsgType.CLOSED:
            self.closed = True
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(message)
        else:
            self._arrived.append(message)
