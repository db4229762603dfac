"""The server: one loopback port for the venue's protocol, another for the control endpoint, which no outage affects."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.log import logger
from forwardtrader.sandbox.binance.handlers import BinanceHandlers, rest_actions, socket_actions
from forwardtrader.sandbox.binance.limits import Limits, Window
from forwardtrader.sandbox.binance.lists import list_actions
from forwardtrader.sandbox.binance.rest import BinanceRestApi
from forwardtrader.sandbox.binance.socket import BinanceMarketStreams
from forwardtrader.sandbox.binance.wallet import wallet_actions
from forwardtrader.sandbox.binance.ws_api import BinanceWebSocketApi
from forwardtrader.sandbox.bybit.handlers import BybitHandlers, bybit_actions
from forwardtrader.sandbox.bybit.market_socket import BybitPublicStreams
from forwardtrader.sandbox.bybit.rest import BybitRestApi
from forwardtrader.sandbox.bybit.socket import BybitPrivateStream, BybitTradeSocket
from forwardtrader.sandbox.control import Control
from forwardtrader.sandbox.faults.candle_faults import CandleFaults
from forwardtrader.sandbox.faults.catalogue import Switchboard, read_options
from forwardtrader.sandbox.faults.instant_faults import InstantFaults
from forwardtrader.sandbox.faults.request_faults import ExecutionFaults, HandshakeFaults, ReportFaults, RequestFaults
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import Sockets
from forwardtrader.sandbox.venue import SandboxVenue, open_venue

LOG = logger("sandbox")
HOST: Final = "127.0.0.1"
MESSAGES_PER_SECOND: Final = 5  # limit for a client on one market socket
LARGEST_BODY: Final = 2 * 1024 * 1024


class SandboxServer:
    """Builds the venue, serves it, and runs its market until stopped."""

    def __init__(self, settings: SandboxSettings, wall: Clock | None = None) -> None:
        self.settings = settings
        self.venue: SandboxVenue = open_venue(settings, wall or SystemClock())
        self.log = RequestLog()
        self.board = Switchboard(settings.seed, lambda: self.venue.driver.played, lambda name, facts: self._struck(name, facts))
        self.sockets = Sockets(HandshakeFaults(self.board), settings.connection_life_s, settings.latency_s)
        for name, options in settings.faults.items():
            read_options(name.upper(), options)
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
        self._mount(app, admin)
        self._runner = await _served(app, self.settings.port)
        self._admin = await _served(admin, 0)
        self.port = self._runner.addresses[0][1]
        for name, options in self.settings.faults.items():
            self._instant.arm(name, options)
        speed = self.settings.speed
        if not isinstance(speed, str):
            self._catch_up(speed)
            self._market = asyncio.create_task(self._move_market(speed))

    def _struck(self, name: str, facts: Mapping[str, Any]) -> None:
        self.log.add("fault", name, facts)

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

    def _mount(self, app: web.Application, admin: web.Application) -> None:
        venue, board = self.venue, self.board
        requests, reports = RequestFaults(board, time.monotonic), ReportFaults(board, self.sockets)
        mount = mount_bybit if self.settings.protocol == "bybit" else mount_binance
        private = mount(app, ProtocolContext(venue, self.log, self.sockets, board, requests, reports))
        instant = InstantFaults(venue, board, self.sockets, private.terminate, self._outage)
        venue.exchange.divide = ExecutionFaults(board).parts
        venue.exchange.before_cancel = lambda order: board.fire("F28", order.request.symbol) is not None
        venue.driver.hides = lambda symbol: board.fire("F21", symbol) is not None
        venue.driver.after_bar += [private.bar_ended, instant.bar_ended]
        control = Control(venue, self.log, self.sockets, board, instant, self.parent, self._started.set)
        admin.router.add_route("*", "/admin/{name}", control.handle)
        self._instant = instant

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


class PrivateStream(Protocol):
    """What faults need of the account's private streams."""

    def terminate(self, how: str) -> None: ...

    def bar_ended(self) -> None: ...


@dataclass(frozen=True)
class ProtocolContext:
    """What a protocol is built from: venue, connections, request log and faults."""

    venue: SandboxVenue
    log: RequestLog
    sockets: Sockets
    board: Switchboard
    requests: RequestFaults
    reports: ReportFaults


def mount_bybit(app: web.Application, context: ProtocolContext) -> PrivateStream:
    """Serve Bybit's protocol; returns its private stream."""
    log, sockets, requests = context.log, context.sockets, context.requests
    handlers = BybitHandlers(context.venue, context.board)
    actions = bybit_actions(handlers)
    private = BybitPrivateStream(handlers, log, sockets, context.reports)
    app.router.add_route("*", "/v5/{name:(?!public/|private$|trade$).*}", BybitRestApi(handlers, actions, log, requests).handle)
    for category in ("spot", "linear"):
        faults = CandleFaults(context.board)
        app.router.add_get(f"/v5/public/{category}", BybitPublicStreams(category, handlers, log, sockets, faults).handle)
    app.router.add_get("/v5/private", private.handle)
    app.router.add_get("/v5/trade", BybitTradeSocket(handlers, actions, log, sockets, requests).handle)
    return private


def mount_binance(app: web.Application, context: ProtocolContext) -> PrivateStream:
    """Serve Binance's protocol; returns its private streams."""
    venue, log, sockets, requests = context.venue, context.log, context.sockets, context.requests
    limits = make_limits(venue.settings)
    handlers = BinanceHandlers(venue, context.board, lambda: limits.described(orders=True, counts=False))
    rest_lists, socket_lists = list_actions(handlers)
    rest = BinanceRestApi(venue, rest_actions(handlers) | rest_lists, limits, log, requests)
    wallet = BinanceRestApi(venue, wallet_actions(venue), limits, log, requests)
    api = BinanceWebSocketApi(venue, socket_actions(handlers) | socket_lists, limits, log, sockets, requests, context.reports)
    per_second = MESSAGES_PER_SECOND if limits.enforced else None
    market = BinanceMarketStreams(handlers, log, sockets, CandleFaults(context.board), messages_per_second=per_second)
    app.router.add_route("*", "/api/v3/{name:.*}", rest.handle)
    app.router.add_route("*", "/sapi/v1/{name:.*}", wallet.handle)
    app.router.add_get("/ws-api/v3", api.handle)
    for path in ("/ws", "/ws/{streams:.*}", "/stream", "/stream/ws/{streams:.*}"):
        app.router.add_get(path, market.handle)
    return api


def make_limits(settings: SandboxSettings) -> Limits:
    enforced = settings.limits == "on" or (settings.limits == "auto" and settings.speed == 1)
    return Limits(
        Window(60_000, settings.weight_per_minute),
        Window(10_000, settings.orders_per_10s),
        Window(86_400_000, settings.orders_per_day),
        enforced,
    )


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
