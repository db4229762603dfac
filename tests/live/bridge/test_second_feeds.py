"""Longer bars beside short ones at a venue: joined here or asked of it, they are seen when closed, and the account is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt

from tests.live.market import Lockstep, practice, store_on

MINUTE, FIVE = 60_000, 300_000


class Watcher(bt.Strategy):
    """Notes what each feed shows; buys on the longer bars at the fourth live bar, and sells on the short ones at the eighth."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, tuple[float, ...], tuple[float, ...]]] = []
        self.done: list[tuple[str, str]] = []
        self.held: list[tuple[float, float]] = []
        self.live_bars = 0

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.done.append(("buy" if order.isbuy() else "sell", order.data._name))

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        at = round((max(d.datetime[0] for d in self.datas if len(d)) - 719_163) * 86_400_000)
        rows = [tuple(getattr(d, n)[0] for n in ("open", "high", "low", "close")) if len(d) else () for d in self.datas]
        self.seen.append((at, rows[0], rows[1]))
        if len(self.data) and self.data.is_current:
            self.live_bars += 1
            if self.live_bars == 4:
                self.buy(self.data1, size=0.01)
            if self.live_bars == 9:
                self.held.append((self.getposition(self.data).size, self.getposition(self.data1).size))
                self.close(self.data)


def run(venue: Any, path: Path, *, joined: bool) -> Watcher:
    store = store_on(venue, path)
    cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
    short = cerebro.adddata(store.getdata(dataname="BTC/USDT", history=13), name="BTC/USDT")
    if joined:
        cerebro.resampledata(short, name="long", timeframe=bt.TimeFrame.Minutes, compression=5)
    else:
        cerebro.adddata(store.getdata(dataname="BTC/USDT", compression=5, history=3), name="long")
    cerebro.setbroker(store.getbroker())
    cerebro.addstrategy(Watcher)
    store.on_idle = Lockstep(venue, store, 12)
    cerebro.addstore(store)
    try:
        return cerebro.run()[0]
    finally:
        store.stop()


def check(watched: Watcher) -> None:
    """Each longer bar is what the minutes in it say, and none is seen before the last of these has closed."""
    minutes = {at: row for at, row, _ in watched.seen if row}
    checked = 0
    for at, _, long in watched.seen:
        end = (at + MINUTE) // FIVE * FIVE
        inside = [minutes.get(end - FIVE + number * MINUTE) for number in range(5)]
        if long and all(inside):
            rows = [row for row in inside if row]
            assert long == (rows[0][0], max(r[1] for r in rows), min(r[2] for r in rows), rows[-1][3])
            checked += 1
    assert checked >= 10


def test_joined_bars_are_seen_from_their_end_on_and_traded_as_the_minutes(tmp_path: Path) -> None:
    with practice() as venue:
        watched = run(venue, tmp_path / "journal.db", joined=True)
        check(watched)
        assert watched.done == [("buy", "BTC/USDT"), ("sell", "BTC/USDT")]
        [(held, same)] = watched.held
        assert held == same > 0


def test_longer_bars_of_the_venue_are_seen_no_earlier_and_hold_no_second_position(tmp_path: Path) -> None:
    with practice() as venue:
        watched = run(venue, tmp_path / "journal.db", joined=False)
        check(watched)
        assert watched.done == [("buy", "BTC/USDT"), ("sell", "BTC/USDT")]
        [(held, same)] = watched.held
        assert held == same > 0
