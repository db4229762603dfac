"""The server: one loopback port for the venue's protocol, another for the control endpoint, which no outage affects."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from forwardtrader.core.errors import ConfigError, StorageFull
from forwardtrader.core.log import logger
from forwardtrader.sandbox.control import Control
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.practice import PracticeExchange
from forwardtrader.sandbox.state.state_file import SqliteState
from forwardtrader.sandbox.transport.host import Host
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from forwardtrader.sandbox.transport.socket_server import SocketServer

LOG = logger("sandbox")
HOST: Final = "127.0.0.1"
LARGEST_BODY: Final = 2 * 1024 * 1024


class SandboxServer:
    """Serves a practice exchange, and runs its market until stopped."""

    def __init__(self, settings: SandboxSettings, host: Host | None = None) -> None:
        self._state = SqliteState(Path(settings.state)) if settings.state else None
        try:
            self.exchange = PracticeExchange(settings, host or Host(), self._outage, self._state)
        except BaseException:
            if self._state is not None:
                self._state.close()
            raise
        self.settings = settings = self.exchange.settings
        self.venue, self.log, self.board = self.exchange.venue, self.exchange.log, self.exchange.board
        self.sockets = self.exchange.sockets
        self._socket_server = SocketServer(self.sockets, settings.connection_life_s, settings.latency_s)
        self.port = settings.port
        self._runner: web.AppRunner | None = None
        self._admin: web.AppRunner | None = None
        self._market: asyncio.Task[None] | None = None
        self._outage_task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self.parent = ParentProcess(settings.owner, settings.orphan_s)
        if not settings.waits:
            self._started.set()

    async def start(self) -> None:
        """Bind the port and start the market.

        Raises:
            ConfigError: the port is in use.
        """
        app = web.Application(client_max_size=LARGEST_BODY)
        admin = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        control = Control(self.exchange, self.parent, self._started.set)
        admin.router.add_route("*", "/admin/{name}", control.handle)
        self._runner = await self._served_again(app)
        self._admin = await _served(admin, 0)
        self.port = self._runner.addresses[0][1]
        self.exchange.note_port(self.port)
        self.exchange.arm_faults()
        speed = self.settings.speed
        if not isinstance(speed, str):
            self._catch_up(speed)
            self._market = asyncio.create_task(self._move_market(speed))

    async def _served_again(self, app: web.Application) -> web.AppRunner:
        """Served at the port of the settings, else at that of the last start if it is free, else at any free one."""
        earlier = self.exchange.first_start
        if not self.settings.port and earlier is not None:
            with contextlib.suppress(ConfigError):
                return await _served(app, earlier.port)
        return await _served(app, self.settings.port)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """A socket's handshake, or a request that is answered once."""
        endpoint = self.exchange.endpoint(request.path)
        if endpoint is not None and request.method == "GET":
            return await self._socket_server.serve(request, endpoint)
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b"\xff"  # no protocol's text
        plain = HttpRequest(request.method, request.path, request.rel_url.raw_query_string, request.headers, body)
        await asyncio.sleep(self.exchange.delay_s(plain))
        answer = HttpAnswer(500, b"", is_lost=True)  # nobody learns of what could not be written
        if self.exchange.failure is None:
            with contextlib.suppress(StorageFull):
                answer = self.exchange.answer(plain)
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.is_lost and request.transport is not None:
            request.transport.abort()
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers, content_type=answer.content_type)

    async def _move_market(self, speed: float) -> None:
        """Run the market; on an error it is halted and logged, and the venue keeps answering."""
        await self._started.wait()
        try:
            await self.venue.driver.run(speed, time.monotonic)
        except Exception:
            LOG.exception("market_stopped")
            for listing in self.venue.exchange.listings.values():
                listing.halted = True
            raise

    def _catch_up(self, speed: float) -> None:
        """At real time, play the running bar up to the present moment."""
        now, bar = self.venue.wall_ms(), self.venue.market_clock()
        if speed == 1 and 0 <= now - bar < self.venue.driver.length:
            self.venue.driver.skip_to(now)

    async def stop(self) -> None:
        if self._outage_task is not None:
            self._outage_task.cancel()
        if self._market is not None:
            self._market.cancel()
            await asyncio.gather(self._market, return_exceptions=True)
        if self._runner is not None:
            self.sockets.disconnect("all", reset=True)
            await self._runner.cleanup()
        if self._admin is not None:
            await self._admin.cleanup()
        if self._state is not None:
            self._state.close()

    def described(self) -> dict[str, Any]:
        """The first line of `python -m sandbox`."""
        base, keys = f"{HOST}:{self.port}", self.venue.keys
        admin = self._admin.addresses[0][1] if self._admin is not None else 0
        return {
            "protocol": self.settings.protocol,
            "url": f"http://{base}",
            "ws_url": f"ws://{base}",
            "api_key": keys.api_key,
            "api_secret": keys.api_secret,
            "admin_url": f"http://{HOST}:{admin}/admin",
            "admin_token": keys.admin_token,
            "symbols": list(self.settings.symbols),
            "seed": self.settings.seed,
        }

    def _outage(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        """Simulate an outage of `seconds`: close port and connections, keep the state. `meanwhile` runs once all are disconnected."""
        # The request that triggers it is still answered.
        asyncio.get_running_loop().call_later(0.05, self._start_outage, seconds, meanwhile)

    def _start_outage(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        self._outage_task = asyncio.ensure_future(self._run_outage(seconds, meanwhile))

    async def _run_outage(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        assert self._runner is not None
        for site in list(self._runner.sites):
            await site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # connections report their end in the next turn of the loop
        meanwhile()
        await asyncio.sleep(seconds)
        await web.TCPSite(self._runner, HOST, self.port).start()


async def _served(app: web.Application, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, max_line_size=LARGEST_BODY, max_field_size=65536)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise _port_error(port, error) from error
    return runner


def _port_error(port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port {port} is in use; choose another with --port, or 0 for any free one")
    return ConfigError(f"port {port} cannot be opened: {error.strerror}; choose another with --port")
