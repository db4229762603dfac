"""A practice exchange in lockstep with a Backtrader run: the next bar comes when the run has nothing left to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt

from forwardtrader.feeds.live.poll_wait import PollRule
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.order_lookup import QueryTimeouts
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder

EAGER = PollRule(base=0.3, least=0.2, most=0.5)
HASTY = QueryTimeouts(not_found_s=0.6, first_wait_s=0.05, longest_wait_s=0.2, give_up_s=20, check_every_s=1.0, lag_s=0.4)


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
        step = next(iter(self.store._markets.values())).step
        if not self.store.caught_up(self.store.first_live + (self.played - 1) * step):
            return
        if self.played >= self.bars:
            self.store.request_stop()
            return
        self.played += 1
        self.venue.advance()


@contextmanager
def practice(**settings: Any) -> Iterator[SandboxHandle]:
    with start_sandbox(**{"speed": "lockstep", "history": 60, **settings}) as venue:
        yield venue


def store_on(
    venue: SandboxHandle, journal: Journal | Path | None = None, kind: type[CCXTStore] = CCXTStore, *, exchange: str = "", **more: Any
) -> CCXTStore:
    """A store on a practice exchange; `exchange` is the ccxt class, by default that of its protocol's name."""
    if isinstance(journal, Path):
        journal = Journal(journal)
    options = {"clock": MarketTime(venue), "poll": EAGER, "query_timeouts": HASTY, "journal": journal, **more}
    return kind(
        exchange or venue.protocol, api_key=venue.api_key, api_secret=venue.api_secret, base_url=venue.url, ws_url=venue.ws_url, **options
    )


def play(venue: SandboxHandle, store: CCXTStore, strategy: Any, bars: int, *, symbols: tuple[str, ...] = ("BTC/USDT",), trade: bool = True,
         history: int = 0, compression: int = 1, **params: Any) -> Any:  # fmt: skip
    """Run a strategy over `bars` live bars; returns it."""
    cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
    for symbol in symbols:
        cerebro.adddata(store.getdata(dataname=symbol, history=history, compression=compression), name=symbol)
    if trade:
        cerebro.setbroker(store.getbroker())
    store.on_idle = Lockstep(venue, store, bars)
    cerebro.addstore(store)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addanalyzer(OrderRecorder, _name="orders")
    try:
        return cerebro.run()[0]
    finally:
        store.stop()


class Script(bt.Strategy):
    """Does `acts[n]` at the nth live bar (0 is the first), and notes every notification.

    `orders` holds (name of the act's order, status, executed size, executed price, type) in the order told.
    """

    params = (("acts", {}),)

    def __init__(self) -> None:
        self.told: list[tuple[int, str, float, float, str]] = []
        self.clones: list[Any] = []
        self.closed_trades: list[Any] = []
        self.statuses: list[tuple[str, int]] = []
        self.live_bars = -1
        self.values: list[float] = []
        self.bars: list[tuple[float, ...]] = []

    def notify_order(self, order: Any) -> None:
        self.clones.append(order)
        self.told.append((order.ref, order.getstatusname(), round(order.executed.size, 8), order.executed.price, order.getordername()))

    def notify_trade(self, trade: Any) -> None:
        self.closed_trades.append(trade)

    def notify_data(self, data: Any, status: int, *args: Any) -> None:
        self.statuses.append((data._getstatusname(status), len(data)))

    def next(self) -> None:
        self.values.append(self.broker.getvalue())
        self.bars.append(tuple(getattr(self.data, n)[0] for n in ("open", "high", "low", "close", "volume")))
        if self.data.is_current:
            self.live_bars += 1
            act = self.p.acts.get(self.live_bars)
            if act is not None:
                act(self)

    def statuses_of(self, order: Any) -> list[str]:
        return [told[1] for told in self.told if told[0] == order.ref]
