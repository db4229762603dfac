"""Unmodified ccxt classes, pointed at the practice exchange by their documented url keys only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.server import SandboxServer

SPOT_ONLY = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}


def point_at_binance(client: Any, url: str, ws_url: str) -> Any:
    """Replace the urls of a ccxt binance instance."""
    api = client.urls["api"]
    api["public"] = api["private"] = f"{url}/api/v3"
    if "ws" in api:
        api["ws"]["spot"] = f"{ws_url}/stream/ws"  # ccxt takes a socket for spot only if its url has /stream in it
        api["ws"]["ws-api"]["spot"] = f"{ws_url}/ws-api/v3"
    return client


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[SandboxServer]:
    """A server in this event loop; in lockstep unless set otherwise."""
    server = SandboxServer(SandboxSettings.model_validate({"speed": "lockstep", "port": 0} | settings))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def binance_on(server: SandboxServer, **options: Any) -> AsyncIterator[Any]:
    """An unmodified ccxt.pro.binance that trades on `server`."""
    from ccxt.pro.binance import binance

    keys = server.described()
    client = binance({"apiKey": keys["api_key"], "secret": keys["api_secret"], "options": SPOT_ONLY, "timeout_on_exit": 0, **options})
    try:
        yield point_at_binance(client, keys["url"], keys["ws_url"])
    finally:
        await client.close()


def point_at_bybit(client: Any, url: str, ws_url: str) -> Any:
    """Replace the urls of a ccxt bybit instance."""
    api = client.urls["api"]
    for name in ("spot", "futures", "v2", "public", "private"):
        api[name] = url
    if "ws" in api:
        api["ws"]["public"] = {kind: f"{ws_url}/v5/public/{kind}" for kind in ("spot", "linear", "inverse", "option")}
        private = f"{ws_url}/v5/private"
        api["ws"]["private"] |= {"spot": {"unified": private, "nonUnified": private}, "contract": private, "trade": f"{ws_url}/v5/trade"}
    return client


BYBIT_OPTIONS = {"fetchMarkets": {"types": ["spot", "linear"]}, "fetchCurrencies": False, "loadAllOptions": False}


@asynccontextmanager
async def bybit_on(server: SandboxServer, **options: Any) -> AsyncIterator[Any]:
    """An unmodified ccxt.pro.bybit that trades on `server`."""
    from ccxt.pro.bybit import bybit

    keys = server.described()
    client = bybit({"apiKey": keys["api_key"], "secret": keys["api_secret"], "options": BYBIT_OPTIONS, "timeout_on_exit": 0, **options})
    client.has["fetchCurrencies"] = False
    try:
        yield point_at_bybit(client, keys["url"], keys["ws_url"])
    finally:
        await client.close()


def point_at_usdm(client: Any, url: str, ws_url: str) -> Any:
    """Replace the urls of a ccxt binanceusdm instance, or of a binance one that trades perpetuals."""
    api = client.urls["api"]
    for name in [key for key in api if key.startswith("fapi")]:
        api[name] = f"{url}/fapi/v{name[-1] if name[-1].isdigit() else 1}"
    if "ws" in api:
        api["ws"]["linear"] = f"{ws_url}/ws"
    # The class reads error codes by the venue's own address.
    client.exceptions["exact"] |= client.exceptions["linear"]["exact"]
    return client


USDM_OPTIONS = {"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False, "defaultType": "swap", "defaultSubType": "linear"}


@asynccontextmanager
async def usdm_on(server: SandboxServer, name: str = "binanceusdm", **options: Any) -> AsyncIterator[Any]:
    """An unmodified ccxt.pro.binanceusdm, or ccxt.pro.binance, that trades perpetuals on `server`."""
    import ccxt.pro

    keys = server.described()
    given = {
        "apiKey": keys["api_key"],
        "secret": keys["api_secret"],
        "options": USDM_OPTIONS,
        "timeout_on_exit": 0,
        "enableRateLimit": False,
    }
    client = getattr(ccxt.pro, name)({"enableRateLimit": False, **given, **options})
    client.has["fetchCurrencies"] = False
    try:
        yield point_at_usdm(client, keys["url"], keys["ws_url"])
    finally:
        await client.close()
