"""The live source pages through history, delivers closed bars once and in order, and reports reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import ccxt
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import UnknownSymbol, UnknownTimeframe
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.feeds.live.source import CcxtLiveSource

MINUTE = 60_000
SYMBOL = "BTC/USDT"


class MemoryClient:
    """A ccxt client whose venue has one bar a minute, from minute 0 on, except those `missing`; without a socket."""

    id = "memory"

    def __init__(self, bars: int, missing: frozenset[int] = frozenset()) -> None:
        self.has: dict[str, bool] = {}
        self.markets = {SYMBOL: {}}
        self.timeframes = {"1m": "1m"}
        self.bars, self.missing = bars, missing
        self.down = False
        self.requests: list[int] = []

    async def load_markets(self) -> None:
        if self.down:
            raise ccxt.NetworkError("down")

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[list[float]]:
        self.requests.append(since // MINUTE)
        if self.down:
            raise ccxt.NetworkError("down")
        first = -(-since // MINUTE)
        minutes = [n for n in range(first, min(first + limit, self.bars)) if n not in self.missing]
        return [[n * MINUTE, 1.0, 1.0, 1.0, float(n), 1.0] for n in minutes]


class Listener:
    """Records what the source reports."""

    def __init__(self) -> None:
        self.minutes: list[int] = []
        self.quiet: list[int] = []
        self.connections: list[bool] = []

    def on_bar(self, symbol: str, bar: Bar) -> None:
        self.minutes.append(bar.at // MINUTE)

    def on_price(self, symbol: str, price: float) -> None: ...

    def on_quiet(self, symbol: str, at: int) -> None:
        self.quiet.append(at // MINUTE)

    def on_connection(self, alive: bool, reason: str) -> None:
        self.connections.append(alive)


def at(minute: float) -> FixedClock:
    return FixedClock(datetime.fromtimestamp(minute * 60, UTC))


def source_of(client: Any, clock: FixedClock, listener: Listener | None = None) -> CcxtLiveSource:
    poll = PollRule(base=0.01, least=0.01, most=0.01)
    return CcxtLiveSource(client, [SYMBOL], Timeframe.parse("1m"), clock=clock, listener=listener or Listener(), poll=poll)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def running(source: CcxtLiveSource, script: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        task = asyncio.create_task(source.run())
        try:
            await script()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(whole())


def test_history_has_closed_bars_only_and_as_many_pages_as_needed() -> None:
    client = MemoryClient(bars=2500)
    bars = asyncio.run(source_of(client, at(2200.5)).history(SYMBOL, 0))
    assert [bar.at // MINUTE for bar in bars] == list(range(2200))
    assert client.requests == [0, 1000, 2000]


def test_history_steps_over_a_stretch_without_trades() -> None:
    client = MemoryClient(bars=2500, missing=frozenset(range(5, 2400)))
    bars = asyncio.run(source_of(client, at(2402)).history(SYMBOL, 0))
    assert [bar.at // MINUTE for bar in bars] == [*range(5), 2400, 2401]


def test_the_newest_bars_end_with_the_last_closed_one() -> None:
    bars = asyncio.run(source_of(MemoryClient(bars=100), at(50.9)).newest(SYMBOL, 3))
    assert [bar.at // MINUTE for bar in bars] == [47, 48, 49]


def test_a_venue_without_the_symbol_or_timeframe_is_refused() -> None:
    client = MemoryClient(bars=1)
    client.timeframes = {"1h": "1h"}
    with pytest.raises(UnknownTimeframe, match="it has 1h"):
        asyncio.run(source_of(client, at(1)).connect())
    client.markets = {"ETH/USDT": {}}
    with pytest.raises(UnknownSymbol):
        asyncio.run(source_of(client, at(1)).connect())


def test_bars_are_delivered_once_and_in_order_as_they_close() -> None:
    clock, listener = at(10.0), Listener()
    source = source_of(MemoryClient(bars=1000), clock, listener)
    source.resume(SYMBOL, 7 * MINUTE)

    async def script() -> None:
        for minute in (10, 11, 13):
            clock.at = at(minute).at
            await until(lambda last=minute - 1: listener.minutes[-1:] == [last])

    running(source, script)
    assert listener.minutes == [8, 9, 10, 11, 12]
    assert source.last(SYMBOL) == source.known(SYMBOL) == 12 * MINUTE


def test_a_bar_that_the_venue_lacks_is_reported_as_quiet_and_the_next_one_delivered() -> None:
    clock, listener = at(10.0), Listener()
    source = source_of(MemoryClient(bars=1000, missing=frozenset({9})), clock, listener)
    source.resume(SYMBOL, 8 * MINUTE)

    async def script() -> None:
        await until(lambda: listener.quiet[-1:] == [9])
        clock.at = at(11).at
        await until(lambda: listener.minutes == [10])

    running(source, script)


def test_an_outage_is_reported_once_and_its_bars_are_made_up_for() -> None:
    clock, listener, client = at(10.0), Listener(), MemoryClient(bars=1000)
    source = source_of(client, clock, listener)
    source.resume(SYMBOL, 9 * MINUTE)

    async def script() -> None:
        client.down = True
        clock.at = at(12).at
        await until(lambda: listener.connections == [False])
        client.down = False
        await until(lambda: listener.connections == [False, True])

    running(source, script)
    assert listener.minutes == [10, 11]
    assert source.reconnects == 1


def test_an_early_candle_of_the_socket_waits_for_the_missing_ones() -> None:
    clock, listener = at(13.0), Listener()
    source = source_of(MemoryClient(bars=1000), clock, listener)
    source.resume(SYMBOL, 9 * MINUTE)

    async def script() -> None:
        source._on_candle(SYMBOL, "1m", Bar(12 * MINUTE, 1.0, 1.0, 1.0, 12.0, 1.0), True)
        assert listener.minutes == []
        await until(lambda: listener.minutes == [10, 11, 12])
        source._on_candle(SYMBOL, "1m", Bar(12 * MINUTE, 1.0, 1.0, 1.0, 12.0, 1.0), True)

    asyncio.run(script())
    assert listener.minutes == [10, 11, 12]
