"""The ccxt client reports closed candles of known formats, and sends nothing to another host once redirected."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from forwardtrader.core.errors import InvalidSetting, TradingError, UnknownVenue, VenueRedirected
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.venues.exchange import CcxtVenue
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running

BINANCE = {
    "e": "kline",
    "s": "BTCUSDT",
    "k": {"t": 60_000, "s": "BTCUSDT", "i": "1m", "o": "1", "h": "3", "l": "0.5", "c": "2", "v": "9", "x": True},
}
BYBIT = {
    "topic": "kline.1.BTCUSDT",
    "data": [{"start": 60_000, "open": "1", "high": "3", "low": "0.5", "close": "2", "volume": "9", "confirm": False}],
}
BAR = Bar(60_000, 1.0, 3.0, 0.5, 2.0, 9.0)


def texts(urls: Any) -> Iterator[str]:
    for url in urls.values() if isinstance(urls, dict) else [urls]:
        if isinstance(url, dict):
            yield from texts(url)
        elif isinstance(url, str):
            yield url


@pytest.mark.parametrize(("name", "message", "closed"), [("binance", BINANCE, True), ("bybit", BYBIT, False)])
def test_a_candle_message_is_reported_with_its_closed_flag(name: str, message: dict[str, Any], closed: bool) -> None:
    async def script() -> list[Any]:
        client, seen = open_client(name), list[Any]()
        ids = ("BTCUSDT", "BTC-USDT")
        client.markets_by_id = {each: [{"id": each, "symbol": "BTC/USDT", "spot": True, "type": "spot"}] for each in ids}
        client.on_candle = lambda *candle: bool(seen.append(candle))
        client.handle_ohlcv(None, message)
        await client.close()
        return seen

    assert asyncio.run(script()) == [("BTC/USDT", "1m", BAR, closed)]


@pytest.mark.parametrize("name", ["binance", "bybit", "kraken"])
def test_a_redirected_client_has_no_url_of_the_venue_left(name: str) -> None:
    async def script() -> list[str]:
        client = open_client(name, base_url="http://127.0.0.1:8123", ws_url="ws://127.0.0.1:8124")
        await client.close()
        return list(texts(client.urls["api"]))

    urls = asyncio.run(script())
    assert urls
    assert all(url.startswith(("http://127.0.0.1:8123", "ws://127.0.0.1:8124")) for url in urls)


def test_an_unknown_venue_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownVenue, match="did you mean binance"):
        open_client("binnance")


class Redirecting(ThreadingHTTPServer):
    """Redirects everything to `target`, and keeps what came: method, path, body and the key that was in the headers."""

    def __init__(self, code: int = 200, target: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Redirects)
        self.code, self.target = code, target
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Redirects(BaseHTTPRequestHandler):
    server: Redirecting

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append(f"{self.command} {self.path} {body} {self.headers.get('X-MBX-APIKEY', '')}")
        self.send_response(self.server.code)
        if self.server.target:
            self.send_header("Location", self.server.target + self.path)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that the server looks for

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def serving(*servers: Redirecting) -> Iterator[None]:
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


MARKET = {"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "type": "spot",
          "spot": True, "active": True, "precision": {"price": 0.01, "amount": 0.0001}, "limits": {}, "lowercaseId": "btcusdt",
          "info": {"orderTypes": ["MARKET"]}}  # fmt: skip
REQUESTS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "order": lambda client: client.create_order("BTC/USDT", "market", "buy", 1.0, None, {}),
    "cancel": lambda client: client.cancel_order("1", "BTC/USDT"),
    "balance": lambda client: client.fetch_balance(),
    "market": lambda client: client.fetch_time(),
    "socket": lambda client: client.watch_ticker("BTC/USDT"),
    "private socket": lambda client: client.watch_orders("BTC/USDT"),
}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", REQUESTS)
def test_neither_an_order_nor_a_key_goes_where_a_redirect_points(name: str, code: int) -> None:
    elsewhere = Redirecting()
    first = Redirecting(code, elsewhere.url)

    async def script() -> None:
        client = open_client("binance", keys={"apiKey": "the-key", "secret": "s"}, base_url=first.url)
        client.set_markets([MARKET])
        try:
            for _ in range(2):  # the second time it has a session already
                with pytest.raises(Exception, match="redirect") as found:
                    await asyncio.wait_for(REQUESTS[name](client), PATIENCE_S)
                assert isinstance(found.value, VenueRedirected) or "socket" in name
        finally:
            await client.close()

    with serving(elsewhere, first):
        asyncio.run(script())
    assert first.seen and elsewhere.seen == []


def test_candles_are_not_taken_from_where_a_redirect_points() -> None:
    elsewhere = Redirecting()
    first = Redirecting(307, elsewhere.url)
    with serving(elsewhere, first), pytest.raises(TradingError):
        CcxtVenue("binance", base_url=first.url).symbols()
    assert first.seen and elsewhere.seen == []


@pytest.mark.parametrize("place", [{"base_url": "http://10.0.0.1"}, {"base_url": "https://10.0.0.1", "ws_url": "ws://10.0.0.1"}])
def test_no_client_with_keys_is_made_for_an_address_that_is_not_encrypted(place: dict[str, str]) -> None:
    with pytest.raises(InvalidSetting, match="is not encrypted"):
        open_client("binance", keys={"apiKey": "k", "secret": "s"}, **place)


def test_a_client_counts_what_it_sends() -> None:
    server = Redirecting()

    async def script() -> None:
        client = open_client("binance", base_url=server.url)
        client.set_markets([MARKET])
        for count in (1, 2):
            await client.fetch_time()
            assert client.requests_sent == count
        with pytest.raises(Exception, match="requires a symbol"):
            await client.fetch_my_trades()
        assert client.requests_sent == 2
        await client.close()

    with serving(server):
        asyncio.run(script())


def test_what_we_add_to_a_client_hides_nothing_of_ccxt() -> None:
    import ccxt.pro

    for name in ("binance", "binanceusdm", "bybit", "okx", "kraken"):
        for ours in ("on_candle", "requests_sent", "trades_perpetuals"):
            assert not hasattr(getattr(ccxt.pro, name), ours) and hasattr(open_client(name), ours)


def test_a_listen_key_that_has_ended_is_asked_for_again() -> None:
    """Binance USD-M says so on the socket, and sends nothing any more."""

    async def listens(server: Any, count: int) -> None:
        while len([e for e in server.log.since(0) if e["kind"] == "private socket" and e["params"]["valid"]]) < count:
            await asyncio.sleep(0.01)

    async def whole() -> None:
        perpetual = "BTC/USDT:USDT"
        async with running(symbols=[perpetual]) as server:
            at = server.described()
            keys = {"apiKey": at["api_key"], "secret": at["api_secret"]}
            client = open_client("binanceusdm", linear=True, keys=keys, base_url=at["url"], ws_url=at["ws_url"])
            try:
                waiting = asyncio.ensure_future(client.watch_orders())
                await listens(server, 1)
                server.exchange.faults.arm("F12", {})
                with pytest.raises(Exception, match="listen key"):
                    await waiting
                waiting = asyncio.ensure_future(client.watch_orders())
                await listens(server, 2)
                made = await client.create_order(perpetual, "market", "buy", 0.01)
                assert (await waiting)[-1]["id"] == made["id"]
            finally:
                await client.close()

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))
