"""The practice exchange without a server: its protocol handlers on plain calls, its market on virtual time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from forwardtrader.sandbox.binance import handlers as binance_handlers
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.instant_faults import InstantFaults
from forwardtrader.sandbox.faults.request_faults import ExecutionFaults, HandshakeFaults, ReportFaults, RequestFaults
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.server import ProtocolContext, mount_binance, mount_bybit
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import MARKET, USER, Sockets
from forwardtrader.sandbox.venue import open_venue
from tests.simulation.network import ServedRequest, SimulatedSocket
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop

_KEYS: Final = {"api_key": "simulated-key", "api_secret": "simulated-secret", "admin_token": "simulated-token"}


class SimulatedQueue:
    """In the place of `SendQueue`: the server's end of one socket."""

    def __init__(self, socket: SimulatedSocket) -> None:
        self._socket = socket

    @property
    def silent(self) -> bool:
        return self._socket.silent

    @silent.setter
    def silent(self, value: bool) -> None:
        self._socket.silent = value

    def put(self, message: Any) -> None:
        self.put_bytes(orjson.dumps(message))

    def put_bytes(self, message: bytes) -> None:
        self._socket.enqueue(WSMessage(WSMsgType.TEXT, message.decode(errors="replace"), None))

    def reset(self) -> None:
        self._socket.end()

    def close(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        self._socket.enqueue(WSMessage(WSMsgType.CLOSE, code, None))
        self._socket.on_close()


class SimulatedSockets(Sockets):
    """Connections as objects; nothing is served by a task of its own."""

    def __init__(self, gate: HandshakeFaults, loop: VirtualLoop) -> None:
        super().__init__(gate, 86_400.0)
        self._loop = loop

    async def serve_socket(self, request: Any, which: str, *, on_open: Any, on_message: Any, on_close: Any) -> Any:  # type: ignore[override]
        refusal = self._refusal(which)
        if refusal is not None:
            return refusal
        socket: SimulatedSocket = request.connection
        queue: Any = SimulatedQueue(socket)
        self._open[which].add(queue)
        state = on_open(queue)

        def closed() -> None:
            if queue in self._open[which]:
                self._open[which].discard(queue)
                on_close(state)

        socket.on_close = closed
        socket.on_message = lambda text: on_message(state, text)
        return None

    def connections(self, which: str) -> list[Any]:
        return sorted(super().connections(which), key=lambda queue: queue._socket.number)

    def disconnect(self, which: str, *, reset: bool, shut_s: float = 0.0) -> int:
        ended = self.connections(which)
        for kind in (MARKET, USER) if which == "all" else (which,):
            self._shut_until[kind] = self._loop.now + shut_s
        for queue in ended:
            queue.reset() if reset else queue.close()
        return len(ended)

    def _refusal(self, which: str) -> web.Response | None:
        if self._loop.now < self._shut_until[which]:
            return web.Response(status=503, text="Service Unavailable")
        refused = self._gate.refusal(which)
        return None if refused is None else web.Response(status=refused.status, headers={"Retry-After": refused.retry_after})


class Routes:
    """In the place of aiohttp's router."""

    def __init__(self) -> None:
        self.router = self
        self._routes: list[tuple[re.Pattern[str], Any]] = []

    def add_route(self, _method: str, path: str, handler: Any) -> None:
        pattern = re.sub(r"\{(\w+):((?:[^{}]|\{[^}]*\})*)\}", r"(?P<\1>\2)", path)
        self._routes.append((re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler))

    def add_get(self, path: str, handler: Any) -> None:
        self.add_route("GET", path, handler)

    def find(self, request: ServedRequest) -> Any:
        for pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                request.match_info = found.groupdict()
                return handler
        return None


class SimulatedVenue:
    """The whole practice exchange of one run. It lives on whatever happens to the trading process."""

    def __init__(self, loop: VirtualLoop, clock: VirtualClock, note: Callable[..., None], **settings: Any) -> None:
        self.settings = SandboxSettings.model_validate({"speed": 1.0, "limits": "off", **_KEYS, **settings})
        self.loop = loop
        self.is_down = False
        self.venue = open_venue(self.settings, clock)
        ids = random.Random(self.settings.seed)
        binance_handlers.generated_id = lambda: f"w{ids.getrandbits(60):x}"
        self.board = Switchboard(self.settings.seed, lambda: self.venue.driver.played, lambda name, facts: note("fault", name=name))
        self.sockets = SimulatedSockets(HandshakeFaults(self.board), loop)
        self._routes = Routes()
        requests, reports = RequestFaults(self.board, loop.time), ReportFaults(self.board, self.sockets)
        context = ProtocolContext(self.venue, RequestLog(), self.sockets, self.board, requests, reports)
        private = (mount_bybit if self.settings.protocol == "bybit" else mount_binance)(self._routes, context)  # type: ignore[arg-type]
        self.faults = InstantFaults(self.venue, self.board, self.sockets, private.terminate, self._outage)
        self.exchange = self.venue.exchange
        self.exchange.divide = ExecutionFaults(self.board).parts
        self.exchange.before_cancel = lambda order: self.board.fire("F28", order.request.symbol) is not None
        self.venue.driver.hides = lambda symbol: self.board.fire("F21", symbol) is not None
        self.venue.driver.after_bar += [private.bar_ended, self.faults.bar_ended]

    def start(self) -> None:
        """Let the market run."""
        self.loop.world_task(self.venue.driver.run(1.0, self.loop.time))

    def route(self, request: ServedRequest) -> Any:
        return self._routes.find(request)

    def _outage(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        self.loop.in_world(0.05, self._go_down, seconds, meanwhile)

    def _go_down(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        self.is_down = True
        self.sockets.disconnect("all", reset=True)
        meanwhile()
        self.loop.in_world(seconds, self._come_back)

    def _come_back(self) -> None:
        self.is_down = False
