"""Records candles, trades, book tops and the flow of each minute of some symbols of one venue, until it is stopped.

Every row has the venue's time and `known_at`, when it arrived here; sizes are in base units, whatever the venue counts. A broken socket is
opened again; what was said meanwhile is missing, and `connections.csv` says when. Candles are completed by request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import StorageFull, TradingError
from forwardtrader.core.retry import Backoff
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.source import CcxtLiveSource
from forwardtrader.feeds.recording.minute_flow import COLUMNS, MinuteFlow
from forwardtrader.feeds.recording.rows_file import DailyFiles, RowsFile, prune
from forwardtrader.feeds.venues.retry import VenueRequests

TRADES: Final = "timestamp,known_at,price,size,side,id"
TOPS: Final = "timestamp,known_at,bid,bid_size,ask,ask_size"
FLOWS: Final = f"timestamp,known_at,{','.join(COLUMNS)}"
BARS: Final = "timestamp,known_at,open,high,low,close,volume"
_LOG: Final = log.logger("feeds")
_AGAIN: Final = Backoff(first_s=0.5, longest_s=60.0)
_MINUTE: Final = 60
_SAMPLE_S: Final = 1.0
_PRUNE_S: Final = 600.0


class _SymbolFiles:
    """The files of one symbol, and the minute that runs."""

    def __init__(self, folder: Path, timeframe: Timeframe) -> None:
        self.bars = RowsFile(folder / f"candles-{timeframe}.csv", BARS)
        self.trades = DailyFiles(folder / "trades", TRADES)
        self.tops = DailyFiles(folder / "tops", TOPS)
        self.flows = RowsFile(folder / "flow-1m.csv", FLOWS)
        self.seen = {row.rpartition(",")[2] for row in self.trades.tail()}
        self.flow, self.top, self.written = MinuteFlow(), ("", 0.0, 0.0, 0.0, 0.0), ""

    def newest_bar(self) -> int | None:
        """Open time of the newest candle, milliseconds UTC."""
        rows = self.bars.tail()
        return int(datetime.fromisoformat(rows[-1].split(",")[0]).timestamp() * 1000) if rows else None


class Recorder:
    """Records until cancelled.

    Args:
        client: from `open_client`.
        folder: where the venue's symbols get a folder each.
        clock: of this machine: when things arrive.
        market_clock: the venue's, if it is another one; it decides whether a candle is closed.
        most_bytes: what all records may take; the oldest days of trades and tops are removed.
    """

    def __init__(
        self, client: Any, symbols: Sequence[str], timeframe: Timeframe, folder: Path, *, clock: Clock, market_clock: Clock | None = None,
        most_bytes: int = 5_000_000_000,
    ) -> None:  # fmt: skip
        self._client, self._clock, self._folder, self._most_bytes = client, clock, folder, most_bytes
        self._requests = VenueRequests(client)
        self.symbols, self.timeframe = tuple(symbols), timeframe
        self._files = {symbol: _SymbolFiles(folder / quote(symbol, safe=""), timeframe) for symbol in symbols}
        self._connections = RowsFile(folder / "connections.csv", "at,event,detail")
        self._market_clock = market_clock or clock
        self._source = CcxtLiveSource(client, symbols, timeframe, clock=market_clock or clock, listener=self)
        self.broken = 0
        self._units = dict.fromkeys(symbols, Decimal(1))  # base units of one of what ccxt counts

    async def connect(self) -> None:
        """Load the venue's markets. Raises as `CcxtLiveSource.connect`."""
        await self._source.connect()
        self.count_in_base_units()
        for symbol, files in self._files.items():
            newest = files.newest_bar()
            if newest is None:
                bars = await self._source.newest(symbol, 1)
                newest = bars[-1].at if bars else self._last_closed()  # a quiet market: its next bar is the first one
            self._source.resume(symbol, newest)

    def count_in_base_units(self) -> None:
        """Note what a contract is: ccxt leaves the trades and books of perpetuals in contracts."""
        for symbol in self.symbols:
            market = self._client.market(symbol)
            if market.get("contract") and market.get("contractSize"):
                self._units[symbol] = Decimal(str(market["contractSize"]))

    def _last_closed(self) -> int:
        """Open time of the bar that closed last, be there one or not."""
        now, step = int(self._market_clock.now().timestamp() * 1000), self.timeframe.seconds * 1000
        return now - now % step - step

    async def run(self) -> None:
        """Record until cancelled.

        Raises:
            StorageFull: the disk is full.
        """
        self._note("started", "")
        works = [self._source.run(), self._minutes(), *(self._forever(work) for work in self._watches())]
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._note("stopped", "")

    # What arrives

    def on_bar(self, symbol: str, bar: Bar) -> None:
        row = ",".join([_text(bar.at), self._now(), *(repr(value) for value in bar[1:])])
        self._files[symbol].bars.append([row])

    def on_price(self, symbol: str, price: float) -> None: ...

    def on_quiet(self, symbol: str, at: int) -> None: ...

    def on_connection(self, alive: bool, reason: str) -> None:
        self._note("candles are back" if alive else "candles broke", reason)

    def _on_trades(self, symbol: str, trades: Sequence[dict[str, Any]]) -> None:
        files, now, rows = self._files[symbol], self._clock.now(), []
        for trade in trades:
            name, price, size = re.sub(r"[^\w-]", "", str(trade.get("id") or "")), trade.get("price"), trade.get("amount")
            if not price or not size or not trade.get("timestamp") or (name and name in files.seen):
                continue
            side, base = "sell" if trade.get("side") == "sell" else "buy", self._base(symbol, size)
            rows.append(f"{_text(trade['timestamp'])},{_iso(now)},{float(price)!r},{base!r},{side},{name}")
            files.flow.add_trade(base, is_buy=side == "buy")
            files.seen.add(name)
        if len(files.seen) > 100_000:
            files.seen.clear()
        files.trades.append(rows, now)

    def _on_tops(self, tops: dict[str, Any]) -> None:
        for symbol, top in tops.items():
            values = [top.get(key) for key in ("bid", "bidVolume", "ask", "askVolume")]
            if symbol in self._files and all(value is not None for value in values):
                bid, bid_size, ask, ask_size = values
                at = _text(top["timestamp"]) if top.get("timestamp") else self._now()
                self._files[symbol].top = (at, float(bid), self._base(symbol, bid_size), float(ask), self._base(symbol, ask_size))

    def _base(self, symbol: str, size: float) -> float:
        return float(Decimal(str(size)) * self._units[symbol])

    # Work without end

    def _watches(self) -> list[Callable[[], Awaitable[None]]]:
        client, requests = self._client, self._requests

        def trades_of(symbol: str) -> Callable[[], Awaitable[None]]:
            async def watch() -> None:
                self._on_trades(symbol, await requests.once(lambda: client.watch_trades(symbol)))

            return watch

        async def tops() -> None:
            self._on_tops(await requests.once(lambda: client.watch_bids_asks(list(self.symbols))))

        watched = [trades_of(symbol) for symbol in self.symbols] if client.has.get("watchTrades") else []
        return [*watched, *([tops] if client.has.get("watchBidsAsks") else [])]

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await work()
                if failures:
                    self._note("back", "")
                failures = 0
            except StorageFull:
                raise
            except TradingError as error:
                failures, self.broken = failures + 1, self.broken + 1
                if failures == 1:
                    self._note("broke", str(error))
                log.event(_LOG, "recorder_socket_broken", logging.WARNING, reason=str(error))
                await asyncio.sleep(_AGAIN.pause(failures))

    async def _minutes(self) -> None:
        """Sample the books each second, and write a minute's flow when it is over."""
        minute, pruned = int(self._clock.now().timestamp()) // _MINUTE, 0.0
        while True:
            await asyncio.sleep(_SAMPLE_S)
            now = self._clock.now()
            if int(now.timestamp()) // _MINUTE != minute:
                self._close_minute(minute, now)
                minute = int(now.timestamp()) // _MINUTE
            for files in self._files.values():
                self._sample(files, now)
            if now.timestamp() - pruned > _PRUNE_S:
                prune(self._folder, self._most_bytes)
                pruned = now.timestamp()

    def _sample(self, files: _SymbolFiles, now: datetime) -> None:
        at, *values = files.top
        if not at:
            return
        files.flow.add_top(*values)
        row = f"{at},{','.join(repr(value) for value in values)}"
        if row != files.written:
            files.tops.append([f"{at},{_iso(now)},{','.join(repr(value) for value in values)}"], now)
            files.written = row

    def _close_minute(self, minute: int, now: datetime) -> None:
        for files in self._files.values():
            row, files.flow = files.flow.row(), MinuteFlow()
            if row is not None:
                files.flows.append([f"{_text(minute * _MINUTE * 1000)},{_iso(now)},{','.join(repr(value) for value in row)}"])

    def _note(self, event: str, detail: str) -> None:
        log.event(_LOG, "recorder", what=event, detail=detail)
        said = re.sub(r"[,\s]+", " ", log.redact(detail))[:200]
        self._connections.append([f"{self._now()},{event},{said}"])

    def _now(self) -> str:
        return _iso(self._clock.now())


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def _text(ms: int) -> str:
    return _iso(datetime.fromtimestamp(ms / 1000, UTC))
