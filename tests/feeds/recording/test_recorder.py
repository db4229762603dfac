"""The recorder against the practice exchange: what it prints is recorded once, and goes on after a kill."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StorageFull
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.book import read_factor
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.recording.recorder import Recorder
from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running

SYMBOL = "BTC/USDT"
MINUTE = Timeframe.parse("1m")


class MarketClock:
    """The clock of the practice market."""

    def __init__(self, server: SandboxServer) -> None:
        self._server = server

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._server.venue.market_clock() / 1000, UTC)


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[1:]] if path.is_file() else []


def days(folder: Path) -> list[list[str]]:
    return [row for path in sorted(folder.glob("*.csv")) for row in rows(path)]


async def record(server: SandboxServer, folder: Path, *, bars: int) -> None:
    """Until so many candles are there, trades, and samples of the book."""
    keys = server.described()
    client = open_client("binance", base_url=keys["url"], ws_url=keys["ws_url"])
    recorder = Recorder(client, [SYMBOL], MINUTE, folder, clock=SystemClock(), market_clock=MarketClock(server))
    own = folder / "BTC%2FUSDT"
    try:
        await recorder.connect()
        work = asyncio.ensure_future(recorder.run())
        while len(rows(own / "candles-1m.csv")) < bars or not days(own / "trades") or recorder._files[SYMBOL].flow.row() is None:
            assert not work.done(), work
            await asyncio.sleep(0.05)
        recorder._close_minute(int(SystemClock().now().timestamp()) // 60, SystemClock().now())
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    finally:
        await client.close()


def test_what_the_venue_prints_is_recorded_once_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    async def whole() -> None:
        async with running(protocol="binance", symbols=[SYMBOL], speed=600) as server:
            await record(server, tmp_path, bars=2)
            own = tmp_path / "BTC%2FUSDT"
            for path in (own / "candles-1m.csv", *(own / "trades").glob("*.csv")):
                path.write_bytes(path.read_bytes()[:-9])  # killed while it wrote
            await record(server, tmp_path, bars=len(rows(own / "candles-1m.csv")) + 4)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))
    own = tmp_path / "BTC%2FUSDT"
    opened = [datetime.fromisoformat(row[0]) for row in rows(own / "candles-1m.csv")]
    assert {b - a for a, b in itertools.pairwise(opened)} == {timedelta(minutes=1)}  # none twice, none missing
    trades = days(own / "trades")
    assert len({row[5] for row in trades}) == len(trades)
    for row in [*rows(own / "candles-1m.csv"), *trades, *days(own / "tops")]:
        assert row[0] <= row[1]  # nothing arrives before its time
    assert all(float(row[2]) < float(row[4]) for row in days(own / "tops"))
    assert [row[1] for row in rows(tmp_path / "connections.csv")] == ["started", "stopped"] * 2
    factor = read_factor(FactorSettings(file=str(own / "flow-1m.csv"), column="book_imbalance", name="book"))
    assert len(factor.source.observations()) >= 2


def test_a_disk_that_has_no_room_for_a_candle_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(rows: list[str]) -> None:
        raise StorageFull("the disk takes no more")

    async def whole() -> None:
        async with running(protocol="binance", symbols=[SYMBOL], speed=600) as server:
            keys = server.described()
            client = open_client("binance", base_url=keys["url"], ws_url=keys["ws_url"])
            recorder = Recorder(client, [SYMBOL], MINUTE, tmp_path, clock=SystemClock(), market_clock=MarketClock(server))
            monkeypatch.setattr(recorder._files[SYMBOL].bars, "append", full)
            try:
                await recorder.connect()
                with pytest.raises(StorageFull):
                    await recorder.run()
            finally:
                await client.close()

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_sizes_of_a_venue_that_counts_contracts_are_recorded_in_base_units(tmp_path: Path) -> None:
    swap = "BTC/USDT:USDT"

    async def whole() -> tuple[float, ...] | None:
        client = open_client("okx", linear=True)
        raw = {
            "instType": "SWAP", "instId": "BTC-USDT-SWAP", "ctVal": "0.01", "ctMult": "1", "ctType": "linear", "settleCcy": "USDT",
            "ctValCcy": "BTC", "uly": "BTC-USDT", "state": "live", "tickSz": "0.1", "lotSz": "1", "minSz": "1", "expTime": "",
            "lever": "100",
        }  # fmt: skip
        client.set_markets([client.parse_market(raw)])
        recorder = Recorder(client, [swap], MINUTE, tmp_path, clock=SystemClock())
        recorder.count_in_base_units()
        sent = {"instId": "BTC-USDT-SWAP", "tradeId": "7", "px": "50000", "sz": "7", "side": "buy", "ts": "1767225600000"}
        recorder._on_trades(swap, [client.parse_trade(sent, client.market(swap))])
        recorder._on_tops({swap: {"bid": 49999.0, "bidVolume": 3.0, "ask": 50001.0, "askVolume": 29.0, "timestamp": 1767225600000}})
        await client.close()
        return recorder._files[swap].top[1:]

    assert asyncio.run(whole()) == (49999.0, 0.03, 50001.0, 0.29)
    [[*_, price, size, _, _]] = days(tmp_path / "BTC%2FUSDT%3AUSDT" / "trades")
    assert (price, size) == ("50000.0", "0.07")
