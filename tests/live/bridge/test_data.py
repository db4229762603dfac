"""Bars through Backtrader: closed, once, in order, in step; each case is one that bridges got wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import StorageFull, UnknownSymbol, UnknownTimeframe
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.live.source import CcxtLiveSource
from tests.live.market import Script, play, practice, store_on


def stored(venue: Any, count: int) -> list[tuple[float, ...]]:
    import ccxt

    client = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}})
    client.urls["api"]["public"] = f"{venue.url}/api/v3"
    venue.control("clear")
    return [tuple(row[1:]) for row in client.fetch_ohlcv("BTC/USDT", "1m", limit=count + 1)[:-1]]


def test_live_bars_are_the_closed_candles_of_the_venue_with_their_close_and_volume() -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), Script, 10, trade=False)
        assert run.bars[-10:] == stored(venue, 10)


def test_the_history_is_delayed_and_only_then_comes_live() -> None:
    with practice(history=300) as venue:
        run = play(venue, store_on(venue), Script, 5, trade=False, history=100)
        assert [status for status, _ in run.statuses] == ["DELAYED", "LIVE", "DISCONNECTED"]
        assert run.statuses[1][1] in (100, 101)  # told before the first live bar, or with it
        assert len(run.bars) == 105
        assert run.bars == stored(venue, 105)


def test_a_history_alone_is_complete_over_several_pages() -> None:
    with practice(history=2500) as venue:
        store = store_on(venue)
        cerebro = bt.Cerebro(stdstats=False)
        start = venue.state()["market_time"] // 1000 - 2400 * 60
        cerebro.adddata(
            store.getdata(dataname="BTC/USDT", fromdate=datetime.fromtimestamp(start, UTC).replace(tzinfo=None), historical=True)
        )
        cerebro.addstrategy(bt.Strategy)
        [run] = cerebro.run()
        assert len(run.data) == 2400


def test_a_bar_that_cannot_be_handed_on_ends_the_run_with_its_error() -> None:
    with practice() as venue:
        store = store_on(venue)
        closes: list[float] = []

        def keep(symbol: str, bar: Bar) -> None:
            closes.append(bar.close)
            if len(closes) > 2:
                raise StorageFull("the disk takes no more")

        store.on_bar = keep
        with pytest.raises(StorageFull, match="takes no more"):
            play(venue, store, Script, 10)
        assert len(closes) >= 3


def test_no_candle_is_remembered_by_a_client() -> None:
    seen: list[int] = []

    class Watch(Script):
        def next(self) -> None:
            super().next()
            client = next(iter(self.data.store._markets.values())).source.client
            seen.append(sum(len(cache) for kept in client.ohlcvs.values() for cache in kept.values()))

    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    with practice(symbols=symbols) as venue:
        play(venue, store_on(venue), Watch, 20, symbols=symbols, trade=False)
    assert len(seen) >= 20
    assert max(seen) == 0


def test_three_symbols_move_in_step() -> None:
    seen: list[tuple[float, ...]] = []

    class Watch(Script):
        def next(self) -> None:
            super().next()
            seen.append(tuple(d.datetime[0] for d in self.datas))

    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    with practice(symbols=symbols) as venue:
        run = play(venue, store_on(venue), Watch, 12, symbols=symbols, trade=False)
    assert len(run.bars) == len(seen) == 13
    assert all(len(set(times)) == 1 for times in seen)


@pytest.mark.parametrize("fault", ["F13", "F14", "F22", "F23", "F12"])
def test_no_bar_is_lost_doubled_or_changed_when_sockets_break_and_candles_come_wrong(fault: str) -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), Script, 8, trade=False, acts={2: lambda s: venue.control("fault", name=fault)})
        assert run.bars[-8:] == stored(venue, 8)


def test_bars_that_the_venues_list_did_not_show_at_the_start_are_fetched_later() -> None:
    with practice() as venue:
        venue.control("fault", name="F23", bars=2, count=2)
        run = play(venue, store_on(venue), Script, 4, trade=False, history=10)
        assert run.bars == stored(venue, 14)


def test_a_candle_that_the_venue_never_had_is_a_gap_and_not_an_invention() -> None:
    with practice() as venue:
        store = store_on(venue)
        run = play(venue, store, Script, 8, trade=False, acts={2: lambda s: venue.control("fault", name="F21")})
        assert len(run.bars) == 8
        assert run.bars[-5:] == stored(venue, 5)


def test_an_outage_is_told_and_what_was_missed_is_fetched() -> None:
    with practice(speed=1200.0) as venue:
        store = store_on(venue)
        cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
        cerebro.adddata(store.getdata(dataname="BTC/USDT"))
        cerebro.addstrategy(Script, acts={5: lambda s: venue.control("fault", name="F17", seconds=1.0), 60: lambda s: store.request_stop()})
        [run] = cerebro.run()
        told = [status for status, _ in run.statuses]
        assert "CONNBROKEN" in told
        assert told[told.index("CONNBROKEN") + 1 :].count("LIVE") >= 1
        bars = run.bars[-30:]
        everything = stored(venue, 200)
        first = everything.index(bars[0])
        assert everything[first : first + len(bars)] == bars


@pytest.mark.parametrize(("name", "minutes", "error"), [("BTC/USTD", 1, UnknownSymbol), ("BTC/USDT", 7, UnknownTimeframe)])
def test_what_the_venue_does_not_have_is_said_in_one_line(name: str, minutes: int, error: type[Exception]) -> None:
    with practice() as venue:
        store = store_on(venue)
        cerebro = bt.Cerebro()
        cerebro.adddata(store.getdata(dataname=name, compression=minutes))
        cerebro.addstrategy(bt.Strategy)
        with pytest.raises(error):
            cerebro.run()


class Hearer:
    def __init__(self) -> None:
        self.bars: list[Bar] = []

    def on_bar(self, symbol: str, bar: Bar) -> None:
        self.bars.append(bar)

    def on_price(self, symbol: str, price: float) -> None: ...

    def on_quiet(self, symbol: str, at: int) -> None: ...

    def on_connection(self, alive: bool, reason: str) -> None: ...


class Venue:
    """A client that serves fixed rows."""

    id, has, timeframes = "somewhere", {}, {"1m": "1m"}

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = rows

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> list[list[float]]:
        return [row for row in self.rows if row[0] >= since][:limit]


def history(rows: list[list[float]], now: int) -> list[Bar]:
    clock = FixedClock(datetime.fromtimestamp(now, UTC))
    source = CcxtLiveSource(Venue(rows), ["A/B"], Timeframe.parse("1m"), clock=clock, listener=Hearer())
    return asyncio.run(source.history("A/B", 0))


def test_an_empty_answer_is_no_error() -> None:
    assert history([], 600) == []


@pytest.mark.parametrize(("now", "count"), [(180, 3), (179, 2)])
def test_the_last_closed_bar_is_kept_where_a_venue_sends_closed_bars_only(now: int, count: int) -> None:
    rows = [[n * 60_000, 1.0, 1.0, 1.0, 1.0, 1.0] for n in range(3)]
    assert len(history(rows, now)) == count


def test_millisecond_times_are_kept() -> None:
    assert history([[60_000, 1.0, 2.0, 0.5, 1.5, 9.0]], 600) == [Bar(60_000, 1.0, 2.0, 0.5, 1.5, 9.0)]


def test_a_market_that_runs_by_another_clock_is_not_waited_for_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with practice() as venue:
        later = FixedClock(datetime.fromtimestamp(venue.market_time() / 1000, UTC) + timedelta(days=400))
        store = store_on(venue, clock=later)
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(store.getdata(dataname="BTC/USDT", history=5, historical=True))
        cerebro.addstrategy(bt.Strategy)
        cerebro.run()
    assert "BTC/USDT: there is no candle of the last 10 bars before" in caplog.text
    assert "give a market with a clock of its own as clock=" in caplog.text
