"""A `ccxt.pro` client that reports the closed flag of candles, can be pointed at another host, and follows no redirect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from forwardtrader.core.errors import VenueRedirected
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.venues.base_volume import with_base_volume
from forwardtrader.feeds.venues.exchange import require_known
from forwardtrader.feeds.venues.reach import require_encrypted

_PING_MS: Final = 2000  # two missed pings end a half-open connection after about five seconds


def open_client(
    name: str, *, linear: bool = False, keys: dict[str, str] | None = None, base_url: str = "", ws_url: str = "", timeout_s: float = 10.0
) -> Any:
    """A `ccxt.pro` client of one kind of market, with the closed flag where the venue's message format is known.

    Args:
        linear: trade linear perpetuals, not spot.
        keys: `apiKey` and `secret`, or None for public data only.
        base_url, ws_url: scheme and host to use instead of the venue's own.

    Raises:
        UnknownVenue: ccxt has no exchange of that name.
        InvalidSetting: keys would be sent unencrypted to another machine.
    """
    import ccxt.async_support
    import ccxt.pro

    require_known(name)
    if keys:
        require_encrypted(base_url)
        require_encrypted(ws_url)
    base = getattr(ccxt.pro, name, None) or getattr(ccxt.async_support, name)
    config: dict[str, Any] = {"enableRateLimit": True, "timeout": int(timeout_s * 1000), **(keys or {})}
    if keys:  # else an order waits up to a fifth of a second after each reading of the account, however little was asked for
        config["rateLimiterAlgorithm"] = "rollingWindow"
    if name.startswith("binance"):
        base = _with_valid_listen_key(base)
    client = _without_redirects(_with_closed_flag(with_base_volume(base)))(config)
    if name.startswith("binance") or name == "bybit":
        one_kind = {"fetchMarkets": {"types": ["linear" if linear else "spot"]}, "fetchCurrencies": False, "fetchMargins": False}
        client.options = client.deep_extend(client.options, one_kind)
    if linear:
        client.trades_perpetuals = True
        client.options = client.deep_extend(client.options, {"defaultType": "swap", "defaultSubType": "linear"})
    # Currency data needs a permission that a trading key may lack, and it is not used.
    client.has = {**client.has, "fetchCurrencies": False}
    client.timeout_on_exit = 0  # its connector waits for each connection to close; ccxt would sleep a quarter of a second besides
    client.streaming = client.deep_extend(getattr(client, "streaming", {}), {"keepAlive": _PING_MS})
    if base_url:
        client.enableRateLimit = False
        client.aiohttp_trust_env = False
        _point_at(client, base_url.rstrip("/"), (ws_url or base_url.replace("http", "ws", 1)).rstrip("/"))
    return client


def _with_closed_flag(base: Any) -> Any:
    """A subclass that calls `on_candle(symbol, timeframe, bar, closed)` for every candle message in a known format.

    The callback returns whether ccxt should process the message too: storing it and waking its watchers costs more than parsing.
    """
    read = _READERS.get(base.__name__)

    class ClosedFlag(base):  # type: ignore[misc]
        on_candle: Callable[[str, str, Bar, bool], bool] | None = None
        trades_perpetuals = False

        def handle_ohlcv(self, client: Any, message: Any) -> Any:
            if self.on_candle is None or read is None:
                return super().handle_ohlcv(client, message)
            wanted = [self.on_candle(*candle) for candle in read(self, message)]
            return super().handle_ohlcv(client, message) if any(wanted) else None

    ClosedFlag.__name__ = base.__name__
    return ClosedFlag


def _with_valid_listen_key(base: Any) -> Any:
    """A subclass of Binance's that asks for the listen key at each connection, and connects again when the venue says that it has ended.

    ccxt itself goes on with the key that it has, on which nothing may ever arrive.
    """
    from ccxt.base.errors import NetworkError

    class ValidKey(base):  # type: ignore[misc]
        def handle_message(self, client: Any, message: Any) -> Any:
            if isinstance(message, dict) and message.get("e") == "listenKeyExpired":
                client.on_error(NetworkError("the listen key has ended"))
                return None
            return super().handle_message(client, message)

        def on_error(self, client: Any, error: Any) -> None:
            self._forget_key(client)
            super().on_error(client, error)

        def on_close(self, client: Any, error: Any) -> None:
            self._forget_key(client)
            super().on_close(client, error)

        def _forget_key(self, client: Any) -> None:
            if "listenKey=" in client.url:
                self.options["linear"] = {**self.options.get("linear", {}), "lastAuthenticatedTime": 0}

    ValidKey.__name__ = base.__name__
    return ValidKey


def _without_redirects(base: Any) -> Any:
    """A subclass that counts its requests and ends one that is redirected: its signature and key belong to one host only.

    `requests_sent` distinguishes an error that ccxt raises by itself from an answer of the venue.
    """
    import aiohttp

    async def refuse(_session: Any, _context: Any, redirect: aiohttp.TraceRequestRedirectParams) -> None:
        redirect.response.close()
        raise VenueRedirected(
            f"{redirect.url.host} redirected a request to {redirect.response.headers.get('Location', 'another address')[:80]}, "
            f"which was not followed; look at feeds.exchange_url and at the network"
        )

    class Direct(base):  # type: ignore[misc]
        requests_sent = 0
        session: Any
        _direct: Any = None

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            self.requests_sent += 1
            return await super().fetch(url, method, headers, body)

        def open(self, lazy: bool = False) -> None:
            super().open(lazy)
            if not self.own_session or self.session is None or self.session is self._direct:
                return
            self.session.detach()  # its connector is kept
            tracing = aiohttp.TraceConfig()
            tracing.on_request_redirect.append(refuse)
            self.session = self._direct = aiohttp.ClientSession(
                loop=self.asyncio_loop, connector=self.tcp_connector, trust_env=self.aiohttp_trust_env, trace_configs=[tracing]
            )

    Direct.__name__ = base.__name__
    return Direct


def _binance_candles(client: Any, message: Any) -> Iterator[tuple[str, str, Bar, bool]]:
    k = message["k"]
    bar = Bar(int(k["t"]), float(k["o"]), float(k["h"]), float(k["l"]), float(k["c"]), float(k["v"]))
    yield client.safe_symbol(k["s"], None, None, _kind(client)), client.find_timeframe(k["i"]), bar, bool(k["x"])


def _bybit_candles(client: Any, message: Any) -> Iterator[tuple[str, str, Bar, bool]]:
    _, interval, market = str(message["topic"]).split(".")
    for k in message["data"]:
        values = (float(k[name]) for name in ("open", "high", "low", "close", "volume"))
        yield (
            client.safe_symbol(market, None, None, _kind(client)),
            client.find_timeframe(interval),
            Bar(int(k["start"]), *values),
            bool(k["confirm"]),
        )


def _kind(client: Any) -> str:
    """ccxt's name of the client's kind of market: spot and perpetual have the same identifier."""
    return "contract" if client.trades_perpetuals else "spot"


_READERS: Final = {**dict.fromkeys(("binance", "binanceus", "binanceusdm"), _binance_candles), "bybit": _bybit_candles}


def _point_at(client: Any, http: str, ws: str) -> None:
    """Redirect all requests to another host that speaks the venue's protocol."""
    # All URLs, also unused ones: a signed request must never reach another host.
    api = client.urls["api"] = _redirected(client.urls["api"], http, ws)
    if client.id.startswith("binance"):
        api["public"] = api["private"] = f"{http}/api/v3"
        if "ws" in api:
            api["ws"]["spot"] = f"{ws}/stream/ws"  # ccxt takes a socket for spot only if its url has /stream in it
            api["ws"]["ws-api"]["spot"] = f"{ws}/ws-api/v3"
        if client.trades_perpetuals:  # ccxt chooses by the address how it reads error codes
            client.exceptions = {**client.exceptions, "exact": {**client.exceptions["exact"], **client.exceptions["linear"]["exact"]}}


def _redirected(urls: Any, http: str, ws: str) -> Any:
    if isinstance(urls, dict):
        return {name: _redirected(url, http, ws) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    scheme, _, rest = urls.partition("://")
    path = rest[rest.find("/") :] if "/" in rest else ""
    return (ws if scheme.startswith("ws") else http) + path
