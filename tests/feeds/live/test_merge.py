"""Several venues: who confirms whom, and whose candle features see. Two real protocols on loopback, then bars by hand."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from random import Random
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.venues import HOUR, Rows, simulated
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, StorageFull
from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judged import bars_of, frame_of, judge
from forwardtrader.feeds.confirmation.verdict import Agreement
from forwardtrader.feeds.live.merge import ConfirmingVenue, LiveMerge
from forwardtrader.feeds.venues.quotes import at_quote
from forwardtrader.live.request import read_request
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import Lockstep, MarketTime, Script, practice, store_on

HOURS = HOUR.seconds * 1000


class Both(Lockstep):
    """Plays the bars of two practice exchanges in step; `shocks` act on the second one before a bar."""

    def __init__(self, venue: SandboxHandle, other: SandboxHandle, store: Any, count: int, shocks: dict[int, Any]) -> None:
        super().__init__(venue, store, count)
        self.other, self.shocks = other, shocks

    def __call__(self) -> None:
        before = self.played
        if before in self.shocks:
            self.shocks.pop(before)(self)
        super().__call__()
        if self.played > before:
            self.other.advance()


class Buyer(Script):
    """Buys a little at every live bar."""

    def next(self) -> None:
        super().next()
        if self.data.is_current:
            self.made = [*getattr(self, "made", []), self.buy(size=0.001)]


def run_on_both(shocks: dict[int, Any], count: int = 10, state: Any = None) -> tuple[Any, Any]:
    same: dict[str, Any] = {"seed": 5, "history": 60}
    with practice(**same) as venue, practice(protocol="bybit", **same) as other:
        confirming = ConfirmingVenue("bybit", base_url=other.url, ws_url=other.ws_url, clock=MarketTime(other))
        store = store_on(venue, witnesses=[confirming])
        store.judged_state = state
        cerebro = bt.Cerebro(quicknotify=True, stdstats=False)
        cerebro.adddata(store.getdata(dataname="BTC/USDT", history=3), name="BTC/USDT")
        cerebro.setbroker(store.getbroker())
        store.on_idle = Both(venue, other, store, count, shocks)
        cerebro.addstore(store)
        cerebro.addstrategy(Buyer)
        try:
            [run] = cerebro.run()
        finally:
            store.stop()
        [market] = store._markets.values()
        return run, market.merge


def test_a_second_venue_of_another_protocol_confirms_the_first() -> None:
    run, merge = run_on_both({})
    assert merge.agreement("BTC/USDT") is Agreement.AGREED
    assert merge.counts[Agreement.DISAGREED] == 0
    assert {run.statuses_of(order)[-1] for order in run.made} == {"Completed"}


def test_while_two_venues_disagree_no_position_is_entered_and_that_is_notified() -> None:
    run, merge = run_on_both({4: lambda both: both.other.arm("F38", bps=300.0)})
    refused = [o for o in run.clones if o.getstatusname() == "Rejected"]
    assert refused
    assert "disagree" in refused[0].info.refusal
    assert merge.counts[Agreement.DISAGREED] >= 1
    assert run.statuses_of(run.made[0])[-1] == "Completed"


def test_a_candle_that_one_venue_lacks_is_substituted_by_the_other() -> None:
    run, merge = run_on_both({4: lambda both: both.venue.arm("F21")}, 10)
    times = [bt.num2date(run.data.datetime.array[n]) for n in range(len(run.data))]
    gaps = {(b - a).total_seconds() for a, b in itertools.pairwise(times)}
    assert (merge.counts["lent"], gaps) == (1, {60.0})


def test_a_session_ends_with_an_error_where_what_the_judges_know_cannot_be_kept() -> None:
    kept = Kept()
    kept.room = 3
    with pytest.raises(StorageFull, match="takes no more"):
        run_on_both({}, state=kept)


def test_the_practice_exchange_is_confirmed_by_nobody() -> None:
    with pytest.raises(ConfigError, match="one --exchange"):
        read_request(["--sandbox", "--exchange", "binance", "--exchange", "bybit"])
    settings = read_request(["--exchange", "binance", "--exchange", "bybit"]).settings.feeds
    assert (settings.exchange, settings.confirm_exchanges) == ("binance", ("bybit",))


class Kept:
    """What a merge hands on, and its state as a session keeps it."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.signals: list[Bar] = []
        self.alerts: list[tuple[str, str]] = []
        self.states: dict[str, str] = {}
        self.room = 1_000_000
        self.failures: list[Exception] = []

    def on_judged(self, symbol: str, at: int, bar: Bar | None, signal: Bar | None) -> None:
        self.bars += [bar] if bar is not None else []
        self.signals += [signal] if signal is not None else []

    def on_failed(self, error: Exception) -> None:
        self.failures.append(error)

    def load(self, symbol: str) -> Any:
        return json.loads(self.states[symbol]) if symbol in self.states else None

    def save(self, symbol: str, state: Any) -> None:
        self.room -= 1
        if self.room < 0:
            raise StorageFull("the disk takes no more")
        self.states[symbol] = json.dumps(state)

    def notify(self, kind: str, level: str, **facts: object) -> None:
        self.alerts.append((kind, str(facts.get("detail", ""))))

    def merge(self, settings: ConfirmationSettings) -> LiveMerge:
        others = [ConfirmingVenue.of("kraken:USD"), ConfirmingVenue.of("bybit")]
        return LiveMerge(
            "binance", others, ["BTC/USDT"], HOUR, clock=SystemClock(), settings=settings, notify=self.notify, listener=self, state=self
        )


def faulty(seed: int) -> Rows:
    """Three venues: the traded one lacks bars and is off for a while, another one is frozen."""
    traded, second, third = simulated(seed, 160).values()
    traded = [b if not 80 <= b.at // HOURS < 83 else Bar(b.at, *(p * 1.03 for p in b[1:5]), b.volume) for b in traded]
    traded = [b for b in traded if not 100 <= b.at // HOURS < 103 and b.at // HOURS != 130]
    third = [b if not 110 <= b.at // HOURS < 115 else third[109]._replace(at=b.at) for b in third]
    return {"binance": traded, "kraken:USD": second, "bybit": third}


async def streamed(rows: Rows, kept: Kept, seed: int, restart: int) -> None:
    """The bars as a session gets them: those of one time in any order, and a new process at one of them."""
    random, settings = Random(seed), ConfirmationSettings(confirm_window=51)
    merge = kept.merge(settings)
    for name in ("kraken:USD", "bybit"):
        merge.add_confirming(name, "BTC/USDT", rows[name][0])
    await merge.learn("BTC/USDT", rows["binance"][:1])
    for at in range(HOURS, 160 * HOURS, HOURS):
        arrivals = [(name, bar) for name, bars in rows.items() for bar in bars if bar.at == at]
        random.shuffle(arrivals)
        for name, bar in arrivals:
            merge.add_traded("BTC/USDT", bar) if name == "binance" else merge.add_confirming(name, "BTC/USDT", bar)
        if "binance" not in dict(arrivals) and random.random() < 0.5:
            merge.add_missing("BTC/USDT", at)
        if at // HOURS == restart:
            await asyncio.gather(*(client.close() for client in merge.clients))
            merge = kept.merge(settings)
            await merge.learn("BTC/USDT", rows["binance"][:1])
    await asyncio.gather(*(client.close() for client in merge.clients))


@given(st.integers(0, 30), st.sampled_from([0, 50, 81, 98, 112, 131]))
@settings(max_examples=6, deadline=None)
def test_a_session_judges_trades_and_sees_what_a_backtest_does_whatever_comes_first_and_after_a_restart(seed: int, restart: int) -> None:
    rows, kept = faulty(seed), Kept()
    asyncio.run(streamed(rows, kept, seed, restart))
    whole = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, ConfirmationSettings(confirm_window=51))
    assert kept.signals == bars_of(whole.signals)
    assert kept.bars == sorted([*rows["binance"][1:], *bars_of(whole.filled)])
    assert len(kept.signals) >= 9


def test_each_change_is_one_alert() -> None:
    rows, kept = faulty(1), Kept()
    asyncio.run(streamed(rows, kept, 1, -1))
    kinds = [kind for kind, _ in kept.alerts if kind != "bar_lent"]
    whole = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, ConfirmationSettings(confirm_window=51))
    assert len(kinds) == len(list(whole.changes())) - 1  # the first is the start, where all was well
    assert [kind for kind in kinds if kind != "venues_changed"] == ["venues_disagreed", "venues_agreed"] * 2
    assert sum(kind == "bar_lent" for kind, _ in kept.alerts) == 4
    assert any("stands still" in detail for _, detail in kept.alerts)
    assert any("binance, which is traded, lies apart" in detail for _, detail in kept.alerts)


def test_a_restart_while_the_traded_venue_is_off_goes_on_blocking_and_tells_nobody_again() -> None:
    async def run() -> tuple[str, str, int]:
        rows, kept = faulty(2), Kept()
        await streamed({name: [bar for bar in bars if bar.at <= 81 * HOURS] for name, bars in rows.items()}, kept, 2, -1)
        before = kept.alerts.copy()
        again = kept.merge(ConfirmationSettings(confirm_window=51))
        await again.learn("BTC/USDT", [bar for bar in rows["binance"] if bar.at <= 81 * HOURS])
        blocked = again.objection("BTC/USDT"), again.objection("BTC/USDT", 81 * HOURS)
        for name, bars in rows.items():
            add = again.add_traded if name == "binance" else functools.partial(again.add_confirming, name)
            add("BTC/USDT", bars[82])
        await asyncio.gather(*(client.close() for client in again.clients))
        return *blocked, len(kept.alerts) - len(before)

    now, then, told = asyncio.run(run())
    assert now == then and "lies apart" in now
    assert told == 0


def test_a_first_bar_that_the_traded_venue_lacks_stands_at_its_last_price() -> None:
    async def run() -> list[Bar]:
        rows, kept = simulated(4, 60), Kept()
        merge = kept.merge(ConfirmationSettings(confirm_window=51))
        for n in range(59):
            merge.add_confirming("bybit", "BTC/USDT", rows["third"][n])
        await merge.learn("BTC/USDT", rows["traded"][:59])
        again = kept.merge(ConfirmationSettings(confirm_window=51))
        for n in range(60):
            again.add_confirming("bybit", "BTC/USDT", rows["third"][n])
        await again.learn("BTC/USDT", rows["traded"][:59])
        again.add_missing("BTC/USDT", 59 * HOURS)
        await asyncio.gather(*(client.close() for each in (merge, again) for client in each.clients))
        return kept.bars

    assert [(bar.close, bar.volume) for bar in asyncio.run(run())] == [(simulated(4, 60)["traded"][58].close, 0.0)]


@pytest.mark.parametrize("last", ["a timer", "another venue"])
def test_what_goes_wrong_once_a_bar_was_waited_for_is_told_and_not_taken_for_a_venues_trouble(last: str) -> None:
    async def run() -> list[Exception]:
        kept, rows = Kept(), simulated(3, 5)
        merge = kept.merge(ConfirmationSettings(confirm_window=51, confirm_wait_s=0.02))
        kept.room = 0
        for venue in ("kraken:USD", "bybit"):
            merge.add_confirming(venue, "BTC/USDT", rows["second"][0])
        merge.add_traded("BTC/USDT", rows["traded"][1])
        if last == "another venue":
            for venue in ("kraken:USD", "bybit"):
                merge.add_confirming(venue, "BTC/USDT", rows["second"][1])
        else:
            await asyncio.sleep(0.1)
        await asyncio.gather(*(client.close() for client in merge.clients))
        return kept.failures

    assert [str(error) for error in asyncio.run(run())] == ["the disk takes no more"]


def test_a_bar_waits_for_those_of_the_others_and_no_longer() -> None:
    async def run() -> tuple[list[int], list[int], list[int]]:
        kept = Kept()
        merge = kept.merge(ConfirmationSettings(confirm_window=51, confirm_wait_s=0.2))
        rows = simulated(3, 5)
        await merge.learn("BTC/USDT", rows["traded"][:1])
        merge.add_traded("BTC/USDT", rows["traded"][1])
        without_lists = [bar.at for bar in kept.bars]  # a venue that was never there is not waited for
        merge.add_confirming("bybit", "BTC/USDT", rows["third"][1])
        for n in (2, 3):
            merge.add_confirming("bybit", "BTC/USDT", rows["third"][n])
            merge.add_traded("BTC/USDT", rows["traded"][n])
        merge.add_traded("BTC/USDT", rows["traded"][4])
        waiting = [bar.at for bar in kept.bars]
        await asyncio.sleep(0.4)
        await asyncio.gather(*(client.close() for client in merge.clients))
        return without_lists, waiting, [bar.at for bar in kept.bars]

    assert asyncio.run(run()) == ([HOURS], [HOURS, 2 * HOURS, 3 * HOURS], [HOURS, 2 * HOURS, 3 * HOURS, 4 * HOURS])


def test_another_quote_is_asked_for_under_its_own_symbol() -> None:
    assert [at_quote("BTC/USDT", quote) for quote in ("", "USD")] == ["BTC/USDT", "BTC/USD"]
    assert at_quote("BTC/USDT:USDT", "USDC") == "BTC/USDC:USDC"
