"""The practice exchange without a server, on virtual time; it lives on whatever becomes of the trading process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from aiohttp import WSMessage, WSMsgType

from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.practice import PracticeExchange
from forwardtrader.sandbox.state.state_file import MemoryState
from forwardtrader.sandbox.transport.host import Act, Host
from forwardtrader.sandbox.transport.sockets import GOING_AWAY
from tests.simulation.network import SimulatedSocket
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop

_KEYS: Final = {"api_key": "simulated-key", "api_secret": "simulated-secret", "admin_token": "simulated-token"}


class SimulatedSink:
    """The venue's end of one socket."""

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

    def close(self, code: int = GOING_AWAY) -> None:
        self._socket.enqueue(WSMessage(WSMsgType.CLOSE, code, None))
        self._socket.on_close()


class SimulatedVenue(PracticeExchange):
    """The whole exchange of one run, and whether its network is there."""

    def __init__(self, loop: VirtualLoop, clock: VirtualClock, *, keeps_state: bool = False, **settings: Any) -> None:
        chosen = SandboxSettings.model_validate({"speed": 1.0, "limits": "off", **_KEYS, **settings})
        self.loop, self._clock = loop, clock
        self.is_down = False
        self.on_fault: Callable[[str], None] = lambda _name: None
        self.on_start: Callable[[], None] = lambda: None
        self._starts = 0
        self._state = MemoryState() if keeps_state else None
        self._market: asyncio.Task[None] | None = None
        self._make(chosen)

    def _make(self, settings: SandboxSettings) -> None:
        self._starts += 1
        super().__init__(settings, self._host(settings.seed), self._outage, self._state)

    def _host(self, seed: int) -> Host:
        start = self._starts

        def later(seconds: float, act: Act) -> None:
            self.loop.in_world(seconds, lambda: act() if start == self._starts else None)

        return Host(self._clock, self.loop.time, lambda: int(self.loop.time() * 1e9), later, random.Random(f"venue {seed} {start}"))

    def start(self) -> None:
        """Let the market run."""
        self.on_start()
        self._run()

    def _run(self) -> None:
        self._market = self.loop.world_task(self.venue.driver.run(1.0, self.loop.time))

    def restart(self, seconds: float) -> None:
        """End now, and start again later from what was kept; requests on their way are lost."""
        assert self._market is not None, "it has not started"
        self.is_down = True
        self._market.cancel()
        self.sockets.disconnect("all", reset=True)
        self._starts += 1
        self.loop.in_world(seconds, self._start_again)

    def _start_again(self) -> None:
        self._make(self.settings)
        self.on_start()  # what is executed in the bars that it missed is seen too
        self.venue.driver.skip_to(self.venue.wall_ms())
        self.is_down = False
        self._run()

    def connect(self, socket: SimulatedSocket, path: str, query: Mapping[str, str]) -> int:
        """Open a socket; returns the status that refuses it, or 0."""
        endpoint = self.endpoint(path)
        if endpoint is None:
            return 404
        refused = self.sockets.refusal(endpoint.which)
        if refused is not None:
            return refused.status
        sink = SimulatedSink(socket)
        self.sockets.add(endpoint.which, sink)
        conversation = endpoint.connect(sink, path, query)

        def closed() -> None:
            if sink in self.sockets.connections(endpoint.which):
                self.sockets.discard(endpoint.which, sink)
                conversation.end()

        socket.on_close, socket.on_message = closed, conversation.receive
        return 0

    def _struck(self, name: str, facts: Mapping[str, Any]) -> None:
        super()._struck(name, facts)
        self.on_fault(name)

    def _outage(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        self.loop.in_world(0.05, self._go_down, seconds, meanwhile)

    def _go_down(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        self.is_down = True
        self.sockets.disconnect("all", reset=True)
        meanwhile()
        self.loop.in_world(seconds, self._come_back, self._starts)

    def _come_back(self, start: int) -> None:
        if start == self._starts:  # else it is being restarted, which takes longer
            self.is_down = False
