"""The ccxt client reports closed candles of known formats, and sends nothing to another host once redirected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from forwardtrader.core.errors import UnknownVenue
from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.feeds.live.client import open_client

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
