"""Live candles of one venue: closed bars over its socket, confirmed and completed by requests.

Every closed bar is handed over exactly once and in order. The venue's closed flag, which ccxt drops, is read from the raw message. A
request fills in what the socket missed: after a reconnect, before a gap, and whenever a bar is overdue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import TradingError, UnknownSymbol, UnknownTimeframe
from forwardtrader.core.retry import Backoff
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.bar_sequence import Arrival, BarSequence
from forwardtrader.feeds.live.poll_wait import PollRule, poll_wait, relative_volatility
from forwardtrader.feeds.venues.exchange import client_rules
from forwardtrader.feeds.venues.port import unknown_symbol
from forwardtrader.feeds.venues.retry import VenueRequests

_LOG: Final = log.logger("feeds")
_PAGE: Final = 1000
_RECONNECT: Final = Backoff(first_s=0.2, longest_s=30.0)
_LAG: Final = Backoff(first_s=0.1, attempts=4)  # requests may lag behind the socket


class LiveListener(Protocol):
    """Receives market data. Called in the source's event loop; must not block. What it raises at a bar ends the source's `run`."""

    def on_bar(self, symbol: str, bar: Bar) -> None:
        """The next closed bar."""
        ...

    def on_price(self, symbol: str, price: float) -> None:
        """The running bar moved."""
        ...

    def on_quiet(self, symbol: str, at: int) -> None:
        """The venue confirmed that it has no bar of this symbol up to and with the one that would have opened at `at` (ms)."""
        ...

    def on_connection(self, alive: bool, reason: str) -> None:
        """The market socket broke, or is back and nothing is missing."""
        ...


class CcxtLiveSource:
    """The candles of some symbols of one venue.

    Args:
        client: from `open_client`; not shared with anything that sends orders, so that a long backfill delays none.
        clock: the venue's time, which decides whether a requested candle is closed.
        poll: how long to wait between requests that look for overdue bars.
    """

    def __init__(
        self,
        client: Any,
        symbols: Sequence[str],
        timeframe: Timeframe,
        *,
        clock: Clock,
        listener: LiveListener,
        poll: PollRule | None = None,
    ) -> None:
        self.client = client
        self._requests = VenueRequests(client)
        self.symbols = tuple(symbols)
        self.timeframe = timeframe
        self.reconnects = 0
        self._clock = clock
        self._listener = listener
        self._poll = poll or PollRule()
        self._timeframe = str(timeframe)
        self._step = timeframe.seconds * 1000
        self._order = {s: BarSequence(self._step) for s in self.symbols}
        self._held: dict[str, dict[int, Bar]] = {s: {} for s in self.symbols}
        self._known = dict.fromkeys(self.symbols, -1)
        self._closes: dict[str, deque[float]] = {s: deque(maxlen=60) for s in self.symbols}
        self._locks = {s: asyncio.Lock() for s in self.symbols}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusal: Exception | None = None  # of the listener
        self._refused = asyncio.Event()
        self._alive = True

    async def connect(self) -> None:
        """Load the venue's markets.

        Raises:
            VenueUnreachable, VenueRefused: no answer, or a refusal.
            UnknownSymbol, UnknownTimeframe: the venue does not have them.
        """
        await self._requests.retried(self.client.load_markets)
        for symbol in self.symbols:
            if symbol not in self.client.markets:
                raise UnknownSymbol(unknown_symbol(symbol, self.client.markets, self.client.id))
        known = self.client.timeframes or {}
        if str(self.timeframe) not in known:
            raise UnknownTimeframe(f"{self.client.id} has no {self.timeframe} candles; it has {', '.join(known)}")

    def rules(self, symbol: str) -> MarketRules:
        """What the venue accepts; after `connect`."""
        return client_rules(self.client, symbol, self.client.id)

    async def history(self, symbol: str, since: int, until: int | None = None) -> list[Bar]:
        """All closed bars that open in [since, until), in pages, to the newest closed one. Raises as `connect`."""
        bars: list[Bar] = []
        while True:
            end = min(await self._now(), until if until is not None else 1 << 62)
            if since + self._step > end:
                return bars
            rows = await self._requests.retried(partial(self.client.fetch_ohlcv, symbol, str(self.timeframe), since, _PAGE))
            page = [bar for row in rows or [] if since <= (bar := _bar(row)).at and bar.at + self._step <= end]
            if page:
                bars += page
                since = page[-1].at + self._step
            elif since + _PAGE * self._step < end:
                since += _PAGE * self._step  # a stretch without trades: bars may follow it
            else:
                return bars

    async def newest(self, symbol: str, count: int) -> list[Bar]:
        """The newest `count` closed bars. Raises as `connect`."""
        end = await self._now()
        return await self.history(symbol, end - end % self._step - count * self._step, end)

    def resume(self, symbol: str, last: int | None) -> None:
        """Set the last bar already seen; delivery starts with the next one."""
        self._order[symbol] = BarSequence(self._step, last)

    def last(self, symbol: str) -> int | None:
        """Open time of the newest bar that was delivered."""
        return self._order[symbol].last

    def known(self, symbol: str) -> int:
        """Open time of the newest closed bar that is known, be it delivered or about to be; -1 before the first."""
        return self._known[symbol]

    async def run(self) -> None:
        """Deliver bars until cancelled. Errors of the venue are reported to the listener and retried with backoff; one of the listener is
        raised, since nothing that follows would be whole.
        """
        watching = asyncio.create_task(self._watch()) if self.client.has.get("watchOHLCV") else None
        polling, refused = asyncio.create_task(self._poll_forever(watching)), asyncio.create_task(self._refused.wait())
        works: list[asyncio.Task[Any]] = [polling, refused, *([watching] if watching else [])]
        try:
            ended, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            if self._refusal is not None:
                raise self._refusal
            for work in ended:
                work.result()
        finally:
            works += self._tasks
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    # Over the socket

    async def _watch(self) -> None:
        self.client.on_candle = self._on_candle
        pairs = [[symbol, str(self.timeframe)] for symbol in self.symbols]
        failures = 0
        while True:
            try:
                if self.client.has.get("watchOHLCVForSymbols"):
                    await self._requests.once(lambda: self.client.watch_ohlcv_for_symbols(pairs))
                else:
                    each = (partial(self.client.watch_ohlcv, s, str(self.timeframe)) for s in self.symbols)
                    await asyncio.gather(*(self._requests.once(one) for one in each))
                failures = 0
                if not self._alive:
                    await self._on_reconnect()
            except TradingError as error:
                self._on_disconnect(str(error))
                failures += 1
                await asyncio.sleep(_RECONNECT.pause(failures))

    def _on_candle(self, symbol: str, timeframe: str, bar: Bar, closed: bool) -> bool:
        """Handle a candle message; returns whether ccxt should wake its watchers: after a disconnect, or for another subscription."""
        if symbol not in self._order or timeframe != self._timeframe:
            return True
        if closed:
            self._on_closed(symbol, bar)
        else:
            self._listener.on_price(symbol, bar.close)
        return not self._alive

    def _on_closed(self, symbol: str, bar: Bar) -> None:
        arrival = self._order[symbol].arrival(bar)
        if arrival in (Arrival.NEXT, Arrival.EARLY):
            self._known[symbol] = max(self._known[symbol], bar.at)
        if arrival is Arrival.NEXT and self._order[symbol].last is not None and not self._locks[symbol].locked():
            self._deliver(symbol, bar)
        elif arrival in (Arrival.NEXT, Arrival.EARLY):
            self._held[symbol][bar.at] = bar
            self._start(partial(self._catch_up, symbol))
        elif arrival is Arrival.REVISED:
            log.event(_LOG, "closed_bar_revised", symbol=symbol, at=bar.at, close=bar.close)

    def _on_disconnect(self, reason: str) -> None:
        if self._alive:
            self._alive = False
            self._listener.on_connection(False, reason)
        log.event(_LOG, "market_socket_broken", reason=reason)

    async def _on_reconnect(self) -> None:
        for symbol in self.symbols:
            await self._catch_up(symbol)
        self._alive = True
        self.reconnects += 1
        self._listener.on_connection(True, "connected again, nothing is missing")

    # By request

    async def _poll_forever(self, watching: asyncio.Task[None] | None) -> None:
        """Poll for overdue bars, the only source where the venue has no socket."""
        while True:
            try:
                await asyncio.sleep(await self._wait(watching is not None))
                await self._poll_all(alone=watching is None)
            except TradingError as error:
                if watching is None:
                    self._on_disconnect(str(error))
                log.event(_LOG, "poll_failed", reason=str(error))
                await asyncio.sleep(1.0)

    async def _poll_all(self, *, alone: bool) -> None:
        for symbol in self.symbols:
            if await self._overdue(symbol):
                await self._catch_up(symbol, quiet=True)
        if alone and not self._alive:
            await self._on_reconnect()

    async def _wait(self, has_socket: bool) -> float:
        now = await self._now()
        due = min((s.due for s in self._order.values() if s.due is not None), default=now)
        until_close = (due + self._step - now) / 1000
        highest = max((relative_volatility(tuple(c)) for c in self._closes.values()), default=1.0)
        wait = poll_wait(self._poll, until_close=until_close, bar_seconds=self.timeframe.seconds, relative_volatility=highest)
        return max(wait, 1.0) if has_socket else wait  # the socket is faster: give it the first second

    async def _overdue(self, symbol: str) -> bool:
        due = self._order[symbol].due
        return due is not None and due + self._step <= await self._now()

    async def _catch_up(self, symbol: str, *, quiet: bool = False) -> None:
        """Request missing bars and deliver them together with those that arrived early."""
        async with self._locks[symbol]:
            order, held = self._order[symbol], self._held[symbol]
            if order.due is None:
                return
            for attempt in range(1, 5):
                end = await self._now()
                for bar in await self.history(symbol, order.due, None):
                    held.setdefault(bar.at, bar)
                if not held or min(held) <= order.due:
                    break
                await asyncio.sleep(_LAG.pause(attempt))
            self._known[symbol] = max([self._known[symbol], *held])
            for at in sorted(held):
                bar = held.pop(at)
                if at > (order.last or 0):
                    self._deliver(symbol, bar)
            newest = end - end % self._step - self._step
            if quiet and order.last is not None and order.last < newest:
                self._listener.on_quiet(symbol, newest)

    def _deliver(self, symbol: str, bar: Bar) -> None:
        missing = self._order[symbol].deliver(bar)
        if missing:
            log.event(_LOG, "bars_missing_at_venue", symbol=symbol, before=bar.at, bars=missing)
        self._closes[symbol].append(bar.close)
        try:
            self._listener.on_bar(symbol, bar)
        except Exception as error:  # noqa: BLE001 - whoever called takes it for one of the venue's
            self._refusal = self._refusal or error
            self._refused.set()

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _guarded(work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()  # created here: a task cancelled before its first step would never await it
        except TradingError as error:
            log.event(_LOG, "backfill_failed", reason=str(error))

    async def _now(self) -> int:
        """Milliseconds UTC at the venue; candles that end by then are closed."""
        return int((await asyncio.to_thread(self._clock.now)).timestamp() * 1000)


def _bar(row: Sequence[Any]) -> Bar:
    at, *values = row[:6]
    return Bar(int(at), *(float(value) for value in values))
