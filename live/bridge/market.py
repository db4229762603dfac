"""All symbols of one bar length at one venue: where their bars come from, and what keeps them in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.merge import LiveMerge
from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.feeds.live.source import CcxtLiveSource
from forwardtrader.live.bridge.bar_barrier import BarBarrier
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.venue.ccxt_client import CcxtClient

RECENT: Final = 10  # bars without any candle, after which none is expected to come
_LOG: Final = log.logger("live")
_NEWEST: Final = 1  # history: at least the bar before the next one


class MarketListener(Protocol):
    """Receives what a market reports, in the venue's thread; must not block."""

    def handle_bar(self, symbol: str, bar: Bar) -> None:
        """A closed bar was queued."""
        ...

    def handle_price(self, symbol: str, price: float) -> None:
        """The running bar moved."""
        ...

    def handle_connection(self, alive: bool, reason: str) -> None:
        """The socket broke, or is connected again."""
        ...


class Market:
    """Subscribes to these symbols and queues their bars.

    Args:
        barrier: releases the bars of these symbols.
        fail: called where a judged bar could not be handed on.
    """

    def __init__(
        self, client: CcxtClient, timeframe: Timeframe, barrier: BarBarrier, listener: MarketListener, clock: Clock,
        poll: PollRule | None, fail: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        self.timeframe = timeframe
        self.step = timeframe.seconds * 1000
        self.barrier = barrier
        self.source = CcxtLiveSource(client, barrier.symbols, timeframe, clock=clock, listener=self, poll=poll)
        self._listener, self._fail = listener, fail
        self.merge: LiveMerge | None = None
        self.on_signal: Callable[[str, Bar], None] = lambda _symbol, _bar: None  # what features see in place of a bar that follows
        self.joined: int | None = None  # open time of the first bar that is awaited live
        self.waiting_for = set(barrier.symbols)
        self._put: dict[str, int] = {}
        self._past_ends: dict[str, int] = {}

    def has(self, symbol: str, at: int) -> bool:
        """Whether the bar that opened at `at` was put before the feeds, or is known not to exist."""
        return self.newest(symbol) >= at or self.barrier.is_quiet(symbol, at)

    def newest(self, symbol: str) -> int:
        """Open time of the newest bar that was put before the feeds; -1 until the past is there."""
        return self._put.get(symbol, -1 if symbol in self.waiting_for else self.past_end(symbol))

    def past_end(self, symbol: str) -> int:
        """Open time of the last bar of the history: older than the one before the first live one where the venue's list lags, or nobody
        traded."""
        assert self.joined is not None
        return self._past_ends.get(symbol, self.joined - self.step)

    def past_is(self, symbol: str, bars: Sequence[Bar]) -> None:
        """Note where the history of a feed ends; what it lacks is asked for again."""
        if bars:
            self._past_ends[symbol] = bars[-1].at

    def on_bar(self, symbol: str, bar: Bar) -> None:
        if self.merge is not None:
            self.merge.add_traded(symbol, bar)
        else:
            self._put_bar(symbol, bar)

    def on_failed(self, error: Exception) -> None:
        self._fail(error)

    def on_judged(self, symbol: str, at: int, bar: Bar | None, signal: Bar | None) -> None:
        if signal is not None:
            self.on_signal(symbol, signal)  # before the bar is there: it is decided on at once
        if bar is not None:
            self._put_bar(symbol, bar)
        else:
            self.barrier.quiet(symbol, at)

    def _put_bar(self, symbol: str, bar: Bar) -> None:
        self.barrier.put(symbol, bar)
        self._put[symbol] = bar.at  # not before it is there: another thread asks
        self._listener.handle_bar(symbol, bar)

    def on_price(self, symbol: str, price: float) -> None:
        self._listener.handle_price(symbol, price)

    def on_quiet(self, symbol: str, at: int) -> None:
        if self.merge is not None:
            self.merge.add_missing(symbol, at)
        else:
            self.barrier.quiet(symbol, at)

    def on_connection(self, alive: bool, reason: str) -> None:
        self._listener.handle_connection(alive, reason)

    def begin(self, now: int) -> int:
        """Open time of the first bar that is awaited live: the one that runs at `now` (ms)."""
        self.joined = now - now % self.step
        return self.joined

    def warn_if_silent(self, symbol: str, recent: Sequence[Bar]) -> None:
        """Warn where no bar is likely to come, since the market's present is another one than the clock's."""
        if recent or self.joined is None:
            return
        now = datetime.fromtimestamp(self.joined / 1000, UTC)
        _LOG.warning(
            f"{symbol}: there is no candle of the last {RECENT} bars before {now:%Y-%m-%d %H:%M} UTC, the time of the store's clock, "
            "and none may follow; give a market with a clock of its own as clock=, for the practice exchange what start_sandbox returns"
        )

    def known_past(self, data: CCXTData) -> list[Bar]:
        """The bars of a feed's `backfill_from` before the first live one."""
        assert self.joined is not None
        return [bar for bar in _bars(data.p.backfill_from) if bar.at < self.joined]

    def first_wanted(self, data: CCXTData, known: list[Bar]) -> int:
        """From where on the venue is asked for a feed's history."""
        assert self.joined is not None
        if known:
            return known[-1].at + self.step
        if data.p.fromdate:
            return int(data.p.fromdate.replace(tzinfo=UTC).timestamp() * 1000)
        return self.joined - max(_NEWEST, data.p.history) * self.step


def _bars(frame: pd.DataFrame | None) -> list[Bar]:
    if frame is None or not len(frame):
        return []
    times = (pd.DatetimeIndex(frame.index).as_unit("ns").asi8 // 1_000_000).tolist()
    columns = (frame[name].tolist() for name in ("open", "high", "low", "close", "volume"))
    return [Bar(*row) for row in zip(times, *columns, strict=True)]
