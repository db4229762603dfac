"""Sockets that break, refuse or fall silent, and a strategy that is too slow: no bar is lost, no order is sent on an old one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.bridge.bar_barrier import BarBarrier
from forwardtrader.live.execution.journal import Journal
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on


def candles_of(venue: Any) -> dict[int, tuple[float, ...]]:
    """What the venue says happened: open time (s) to open, high, low, close, volume."""
    import ccxt

    client = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}})
    client.urls["api"]["public"] = f"{venue.url}/api/v3"
    venue.disarm()
    return {row[0] // 1000: tuple(row[1:]) for row in client.fetch_ohlcv("BTC/USDT", "1m", limit=1000)[:-1]}


class Watch(Script):
    """Notes the time of each bar and whether it was the newest one known."""

    venue: Any = None

    def start(self) -> None:
        self.seen: list[tuple[int, tuple[float, ...], bool]] = []
        self.made: list[Any] = []

    def next(self) -> None:
        at = round(self.data.datetime.datetime(0).timestamp() - time.timezone)
        values = tuple(getattr(self.data, n)[0] for n in ("open", "high", "low", "close", "volume"))
        self.seen.append((at, values, bool(self.data.is_current)))
        super().next()


def require_whole(run: Any, venue: Any) -> None:
    """Every closed bar once, in order, with the venue's own numbers."""
    known = candles_of(venue)
    times = [at for at, _, _ in run.seen]
    assert times == list(range(times[0], times[-1] + 60, 60))
    assert all(known[at] == values for at, values, _ in run.seen)


def buy(s: Any) -> None:
    s.made.append(s.buy(size=0.01))


def by_the_clock(venue: Any, store: Any, acts: dict[int, Any], **params: Any) -> Any:
    """A run at a market that does not wait; an act ends it."""
    cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
    cerebro.adddata(store.getdata(dataname="BTC/USDT"), name="BTC/USDT")
    cerebro.setbroker(store.getbroker())
    cerebro.addstore(store)
    cerebro.addstrategy(type("Clocked", (Watch,), {"venue": venue, **params}), acts=acts)
    try:
        return cerebro.run()[0]
    finally:
        store.stop()


def test_a_handshake_that_is_refused_leaves_candles_and_fills_to_requests(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")

    def cut(s: Any) -> None:
        s.venue.arm("F16", status=503, count=3)
        s.venue.control("drop", which="all", how="reset")
        s.made.append(s.buy(size=0.01, price=s.data.close[0] * 1.01, exectype=bt.Order.Limit))

    with practice() as venue:
        run = play(venue, store_on(venue, journal), type("W", (Watch,), {"venue": venue}), 8, acts={1: cut, 4: buy})
        assert [run.statuses_of(o)[-1] for o in run.made] == ["Completed", "Completed"]
        require_whole(run, venue)
        require_agreement(venue, journal, run)


def test_no_bar_is_played_while_the_one_before_is_still_being_put(monkeypatch: pytest.MonkeyPatch) -> None:
    put = BarBarrier.put

    def slow(self: BarBarrier, symbol: str, bar: Bar) -> None:
        with self.wake:
            self.wake.notify_all()  # who waits for a bar looks whether there is one
        time.sleep(0.05)
        put(self, symbol, bar)

    monkeypatch.setattr(BarBarrier, "put", slow)
    with practice() as venue:
        run = play(venue, store_on(venue), Watch, 6)
    assert sum(current for _, _, current in run.seen) == 6


def test_an_outage_of_five_bars_is_filled_before_anything_is_traded_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")

    class Eager(Watch):
        struck_at = 0

        def next(self) -> None:
            super().next()
            if len(self) > 3 and len(self) != self.struck_at:
                self.made.append((self.data.is_current, self.buy(size=0.001)))

    def outage(s: Any) -> None:
        s.struck_at, s.before, end = len(s), len(s.made), s.venue.market_time() + 5 * 60_000
        s.venue.arm("F24", bars=5, seconds=0.5)
        s.broker.store.on_idle.played += 5  # the next bar is played when these five are there
        while s.venue.market_time() < end:
            time.sleep(0.01)

    with practice() as venue:
        run = play(venue, store_on(venue, journal), type("E", (Eager,), {"venue": venue}), 12, acts={3: outage})
        require_whole(run, venue)
        assert [current for current, _ in run.made[run.before :]] == [False] * 4 + [True] * 4
        old = [order for current, order in run.made if not current]
        assert {run.statuses_of(order)[-1] for order in old} == {"Rejected"}
        assert len(venue.orders()) == len(run.made) - len(old)
        assert run.statuses_of(run.made[-2][1])[-1] == "Completed"
        require_agreement(venue, journal, run)


def test_a_strategy_that_is_slower_than_the_market_sees_every_bar_and_trades_on_the_newest_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")

    class Slow(Watch):
        def next(self) -> None:
            super().next()
            if len(self) == 5:
                time.sleep(1.0)
            if len(self) > 5 and len(self.made) < 40:
                self.made.append((self.data.is_current, self.buy(size=0.001)))

    with practice(speed=1200.0) as venue:
        store = store_on(venue, journal)
        cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
        cerebro.adddata(store.getdata(dataname="BTC/USDT"), name="BTC/USDT")
        cerebro.setbroker(store.getbroker())
        cerebro.addstore(store)
        cerebro.addstrategy(Slow, acts={20: lambda s: store.request_stop()})
        [run] = cerebro.run()
        require_whole(run, venue)
        old = [order for current, order in run.made if not current]
        assert len(old) >= 10
        assert {run.statuses_of(order)[-1] for order in old} == {"Rejected"}
        assert len(venue.orders()) <= len(run.made) - len(old)


@pytest.mark.slow
def test_a_silent_connection_is_noticed_replaced_and_nothing_is_missing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")

    def rest(s: Any) -> None:
        s.made.append(s.buy(size=0.01, price=round(s.data.close[0] * 0.9, 2), exectype=bt.Order.Limit))

    def silence(s: Any) -> None:
        s.venue.arm("F15", seconds=60.0, which="all")
        s.began = time.monotonic()
        s.venue.control("price", price=s.data.close[0] * 0.85)

    with practice(speed=120.0) as venue:
        store = store_on(venue, journal)
        run = by_the_clock(venue, store, {2: rest, 4: silence, 40: lambda s: store.request_stop()})
        assert time.monotonic() - run.began < 40
        assert run.statuses_of(run.made[0])[-1] == "Completed"
        assert "CONNBROKEN" in [status for status, _ in run.statuses]
        assert run.statuses[-2][0] == "LIVE" or run.seen[-1][2]
        require_whole(run, venue)
        require_agreement(venue, journal, run)
