"""A practice exchange in lockstep with a Backtrader run: the next bar comes when the run has nothing left to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt

from feeds.poll_wait import PollRule
from live.account import Patience
from live.bt_store import CCXTStore
from live.journal import Journal
from sandbox.process import SandboxHandle, start_sandbox

EAGER = PollRule(base=0.3, least=0.2, most=0.5)
HASTY = Patience(not_found_s=0.6, first_wait_s=0.05, longest_wait_s=0.2, give_up_s=20, check_every_s=1.0)


class MarketTime:
    """The time of the practice market."""

    def __init__(self, venue: SandboxHandle) -> None:
        self.venue = venue

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.venue.state()["market_time"] / 1000, UTC)


class Lockstep:
    """Plays `bars` bars, one whenever the run is idle, then stops it."""

    def __init__(self, venue: SandboxHandle, store: CCXTStore, bars: int) -> None:
        self.venue, self.store, self.bars = venue, store, bars
        self.played = 0
        self._lock = threading.Lock()
        self.seen_idle = 0

    def __call__(self) -> None:
        broker = self.store.broker
        if broker is not None and not broker.is_settled:
            return
        if not all(m.barrier.is_empty for m in self.store._markets.values()) or not self._delivered():
            return
        if self.played >= self.bars:
            self.store.request_stop()
            return
        self.played += 1
        self.venue.advance()

    def _delivered(self) -> bool:
        """Whether every bar that was played has reached the feeds."""
        for data in self.store._datas:
            last = self.store._markets[str(data.bar_length)].source._order[data.symbol].last
            expected = self.venue_start + (self.played - 1) * self.store._markets[str(data.bar_length)].step
            if last is None or last < expected:
                return False
        return True

    @property
    def venue_start(self) -> int:
        return min(m.joined or 0 for m in self.store._markets.values())


@contextmanager
def practice(**settings: Any) -> Iterator[SandboxHandle]:
    with start_sandbox(**{"speed": "lockstep", "history": 60, **settings}) as venue:
        yield venue


def store_on(venue: SandboxHandle, journal: Journal | Path | None = None, **more: Any) -> CCXTStore:
    if isinstance(journal, Path):
        journal = Journal(journal)
    options = {"clock": MarketTime(venue), "poll": EAGER, "patience": HASTY, "journal": journal, **more}
    return CCXTStore(venue.protocol, api_key=venue.api_key, api_secret=venue.api_secret, base_url=venue.url, ws_url=venue.ws_url, **options)


def play(venue: SandboxHandle, store: CCXTStore, strategy: Any, bars: int, *, symbols: tuple[str, ...] = ("BTC/USDT",), trade: bool = True,
         history: int = 0, **params: Any) -> Any:  # fmt: skip
    """Run a strategy over `bars` live bars; returns it."""
    cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
    for symbol in symbols:
        cerebro.adddata(store.getdata(dataname=symbol, history=history), name=symbol)
    if trade:
        cerebro.setbroker(store.getbroker())
    store.on_idle = Lockstep(venue, store, bars)
    cerebro.addstore(store)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    try:
        return cerebro.run()[0]
    finally:
        store.stop()
