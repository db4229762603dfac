"""The running server: one loopback port with the venue's protocol and the control endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from typing import Any, Final

from aiohttp import web

from core.clock import Clock, SystemClock
from core.errors import ConfigError
from sandbox.binance_desk import Desk, rest_actions, socket_actions
from sandbox.binance_limits import Limits, Window
from sandbox.binance_rest import RestDoor
from sandbox.binance_socket import MarketDoor
from sandbox.binance_ws_api import WsApiDoor
from sandbox.control import Control
from sandbox.request_log import RequestLog
from sandbox.settings import SandboxSettings
from sandbox.venue import Venue, open_venue

HOST: Final = "127.0.0.1"
LARGEST_BODY: Final = 2 * 1024 * 1024


class SandboxServer:
    """Builds the venue, serves it, and moves its market until it is stopped."""

    def __init__(self, settings: SandboxSettings, wall: Clock | None = None) -> None:
        self.settings = settings
        self.venue: Venue = open_venue(settings, wall or SystemClock())
        self.log = RequestLog()
        self.port = settings.port
        self._runner: web.AppRunner | None = None
        self._market: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind the port and start the market.

        Raises:
            ConfigError: the port is in use.
        """
        app = web.Application(client_max_size=LARGEST_BODY)
        self._mount_binance(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.settings.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise _port_error(self.settings.port, error) from error
        self.port = self._runner.addresses[0][1]
        speed = self.settings.speed
        if not isinstance(speed, str):
            if speed == 1 and self.settings.market == ("sample",):
                self.venue.driver.skip_to(self.venue.wall_ms())
            self._market = asyncio.create_task(self.venue.driver.run(speed, time.monotonic))

    async def stop(self) -> None:
        if self._market is not None:
            self._market.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._market
        if self._runner is not None:
            await self._runner.cleanup()

    def described(self) -> dict[str, Any]:
        """The first line of `python -m sandbox`."""
        base = f"{HOST}:{self.port}"
        keys = self.venue.keys
        return {
            "protocol": self.settings.protocol,
            "url": f"http://{base}",
            "ws_url": f"ws://{base}",
            "api_key": keys.api_key,
            "api_secret": keys.api_secret,
            "admin_url": f"http://{base}/admin",
            "admin_token": keys.admin_token,
            "symbols": list(self.settings.symbols),
            "seed": self.settings.seed,
        }

    def _mount_binance(self, app: web.Application) -> None:
        limits = make_limits(self.settings)
        desk = Desk(self.venue, lambda: limits.described(orders=True, counts=False))
        rest = RestDoor(self.venue, rest_actions(desk), limits, self.log)
        api = WsApiDoor(self.venue, socket_actions(desk), limits, self.log)
        market = MarketDoor(desk, self.log)
        control = Control(self.venue, self.log, {})
        app.router.add_route("*", "/api/v3/{name:.*}", rest.handle)
        app.router.add_get("/ws-api/v3", api.handle)
        for path in ("/ws", "/ws/{streams:.*}", "/stream", "/stream/ws/{streams:.*}"):
            app.router.add_get(path, market.handle)
        app.router.add_route("*", "/admin/{name}", control.handle)


def make_limits(settings: SandboxSettings) -> Limits:
    enforced = settings.limits == "on" or (settings.limits == "auto" and settings.speed == 1)
    return Limits(
        Window(60_000, settings.weight_per_minute),
        Window(10_000, settings.orders_per_10s),
        Window(86_400_000, settings.orders_per_day),
        enforced,
    )


def _port_error(port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port {port} is in use; choose another with --port, or 0 for any free one")
    return ConfigError(f"port {port} cannot be opened: {error.strerror}; choose another with --port")
