"""Backtrader's view of a live symbol: history first, then each closed bar once, in step with the other symbols of its store."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import backtrader as bt

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.longer_bars import OpenStamped
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.feed_context import FeedContext, attach

if TYPE_CHECKING:
    from forwardtrader.live.bridge.store import CCXTStore

_MS_PER_DAY = 86_400_000
_EPOCH_DAY = 719_163  # 1970-01-01 in Backtrader's count of days


class CCXTData(OpenStamped):
    """Made by `CCXTStore.getdata`. Bars carry their UTC open time; a bar is delivered when it is closed, never before.

    Beside shorter bars of the same store a bar carries the time of the short one that ends with it, so that it comes with that, in the
    history too.

    Bars that are not the newest known are announced as DELAYED, then LIVE; a broken socket as CONNBROKEN.

    Params:
        history: bars before now to begin with; ignored where `fromdate` is given.
        historical: only bars up to now, then the feed ends.
        backfill_from: a candle frame (forwardtrader.feeds.candles.schema) for the oldest part of the history; the venue completes it.
    """

    store: CCXTStore  # set by the store
    params = (("history", 0), ("historical", False), ("backfill_from", None), ("qcheck", 0.5))

    def __init__(self) -> None:
        self.symbol: str = str(self.p.dataname)
        self._past: deque[Bar] = deque()
        self.is_current = False  # whether the newest bar known has been delivered
        self.is_past = True  # whether the present bar is one of the history before the feed began to listen

    @property
    def bar_length(self) -> Timeframe:
        """The length of a bar, from Backtrader's unit and count."""
        return timeframe_of(self.p.timeframe, self.p.compression)

    @property
    def traded(self) -> CCXTData:
        """The feed on which its symbol is traded: the one with the shortest bars."""
        return self.store.traded(self.symbol)

    @property
    def next_open(self) -> float:
        """When the bar after the present one opens, as Backtrader's number."""
        return as_number(round(epoch_seconds(self.datetime[0]) * 1000) + self.step_ms)

    def islive(self) -> bool:
        return not self.p.historical

    def haslivedata(self) -> bool:
        return bool(self._past) or self.store.market_of(self).barrier.ready(self.symbol)

    def start(self) -> None:
        super().start()
        self.store.start(data=self)
        self._past = deque(self.store.past_of(self))
        if getattr(self, "context", None) is None:
            attach(self, FeedContext(self.store.rules(self.symbol), self.bar_length))
        self.store.data_ready(self)

    def stop(self) -> None:
        super().stop()
        self.store.stop()

    def _load(self) -> bool | None:
        if self._past:
            self.is_current = False
            self.put_notification(self.DELAYED)
            return self._fill(self._past.popleft())
        if self.p.historical:
            self.put_notification(self.DISCONNECTED)
            return False
        return self._load_live()

    def _load_live(self) -> bool | None:
        barrier = self.store.market_of(self).barrier
        bar = barrier.take(self.symbol)
        if bar is None:
            if self.store.is_stopping:
                self.put_notification(self.DISCONNECTED)
                return False
            self._notify_connection()
            self.store.wait_for_bar(self, self._qcheck)
            bar = barrier.take(self.symbol)
            if bar is None:
                return None
        self.store.turn_again()
        self.is_past = False
        self.is_current = self.store.is_newest(self, bar)
        self.put_notification(self.LIVE if self.is_current else self.DELAYED)
        return self._fill(bar)

    def _notify_connection(self) -> None:
        if not self.store.is_connected:
            self.is_current = False
            self.put_notification(self.CONNBROKEN)
        elif self._laststatus != self.LIVE and self.store.market_of(self).barrier.is_empty:
            self.is_current = True
            self.put_notification(self.LIVE)

    def _fill(self, bar: Bar) -> bool:
        lines = self.lines
        lines.datetime[0] = as_number(bar.at + self.step_ms - self.store.shortest_ms)
        lines.open[0], lines.high[0], lines.low[0], lines.close[0] = bar.open, bar.high, bar.low, bar.close
        lines.volume[0], lines.openinterest[0] = bar.volume, 0.0
        return True


def as_number(at: int) -> float:
    """Milliseconds UTC as Backtrader's floating count of days, bit for bit as its own `date2num` for whole minutes."""
    days, rest = divmod(at, _MS_PER_DAY)
    minutes, ms = divmod(rest, 60_000)
    return _EPOCH_DAY + days + ((minutes // 60) / 24 + (minutes % 60) / 1440 + ms / _MS_PER_DAY)


def timeframe_of(unit: int, compression: int) -> Timeframe:
    """Backtrader's unit and count as ours, e.g. 60 `Minutes` are 1h."""
    minutes = {bt.TimeFrame.Minutes: 1, bt.TimeFrame.Days: 1440, bt.TimeFrame.Weeks: 10080}.get(unit, 0) * compression
    for size, letter in ((10080, "w"), (1440, "d"), (60, "h")):
        if minutes and minutes % size == 0:
            return Timeframe.parse(f"{minutes // size}{letter}")
    return Timeframe.parse(f"{minutes}m")
