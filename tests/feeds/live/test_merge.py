"""Several venues: who confirms whom, and who lends a candle. Pure decisions first, then two real protocols on loopback."""

from __future__ import annotations

import itertools
import time
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import ConfigError
from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.feeds.live.merge import Agreement, ConfirmingVenue, MergeRule, compare_prices, substitute
from forwardtrader.live.request import read_request
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import Lockstep, MarketTime, Script, practice, store_on

STEP = 60_000
RULE = MergeRule(tolerance_bps=50.0, fresh_bars=2)


def bars(*closes: float | None, first: int = 0) -> dict[int, Bar]:
    """Bars one after the other; None for one that is missing."""
    return {at: Bar(at, c, c * 1.01, c * 0.99, c, 1.0) for n, c in enumerate(closes) if c is not None for at in [first + n * STEP]}


CASES = [
    ("the same price", [(100.0, 100.0, 100.2)], Agreement.AGREED),
    ("one alone is far off", [(100.0, 100.0, 103.0)], Agreement.DISAGREED),
    ("one of three is far off", [(100.0, 100.0, 103.0), (100.0, 100.0, 100.1), (100.0, 100.0, 100.0)], Agreement.AGREED),
    ("two of three are far off", [(100.0, 100.0, 103.0), (100.0, 100.0, 102.0), (100.0, 100.0, 100.0)], Agreement.DISAGREED),
    ("it is one bar behind", [(100.0, 100.0, None)], Agreement.AGREED),
    ("it was far off one bar ago", [(100.0, 90.0, None)], Agreement.DISAGREED),
    ("it is silent", [(None, None, None)], Agreement.ALONE),
]


@pytest.mark.parametrize(("name", "closes", "agreement"), CASES, ids=[case[0] for case in CASES])
def test_the_middle_of_the_fresh_venues_decides(name: str, closes: list[Any], agreement: Agreement) -> None:
    others = {f"venue{n}": bars(*row) for n, row in enumerate(closes)}
    assert compare_prices(bars(100.0, 100.0, 100.0), others, 2 * STEP, STEP, RULE).agreement is agreement


def test_a_venue_whose_newest_bar_is_too_old_has_no_effect() -> None:
    traded = bars(*[100.0] * 10)
    assert compare_prices(traded, {"old": bars(*[50.0] * 7)}, 9 * STEP, STEP, RULE).agreement is Agreement.ALONE
    assert compare_prices(traded, {"old": bars(*[50.0] * 8)}, 9 * STEP, STEP, RULE).agreement is Agreement.DISAGREED


@given(st.floats(0.5, 2.0), st.floats(1.0, 1e5), st.integers(0, 3))
def test_a_substituted_bar_lies_on_the_level_of_the_traded_venue(level: float, price: float, missing: int) -> None:
    whole = [price * (1 + 0.001 * n) for n in range(5)]
    traded = bars(*[None if n == missing + 1 else close for n, close in enumerate(whole)])
    found = substitute(traded, {"none": {}, "other": bars(*[close * level for close in whole])}, (missing + 1) * STEP)
    assert found is not None
    name, bar = found
    assert (name, bar.at) == ("other", (missing + 1) * STEP)
    assert bar.close == pytest.approx(whole[missing + 1])
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_there_is_no_substitute_without_an_earlier_common_bar() -> None:
    assert substitute({}, {"other": bars(1.0, 2.0)}, STEP) is None
    assert substitute(bars(1.0), {"other": bars(1.0)}, STEP) is None


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
            self._until_received(MarketTime(self.other).now().timestamp() * 1000 // STEP * STEP - STEP)

    def _until_received(self, at: float) -> None:
        """Wait for the second one's bar that opened at `at`, which a busy machine may bring late; the first may come with the next one."""
        [market] = self.store._markets.values()
        received, until = market.merge._others["BTC/USDT"]["bybit"], time.monotonic() + 3
        while at not in received and time.monotonic() < until:
            time.sleep(0.002)


class Buyer(Script):
    """Buys a little at every live bar."""

    def next(self) -> None:
        super().next()
        if self.data.is_current:
            self.made = [*getattr(self, "made", []), self.buy(size=0.001)]


def run_on_both(shocks: dict[int, Any], count: int = 10) -> tuple[Any, Any]:
    same: dict[str, Any] = {"seed": 5, "history": 60}
    with practice(**same) as venue, practice(protocol="bybit", **same) as other:
        confirming = ConfirmingVenue("bybit", base_url=other.url, ws_url=other.ws_url, clock=MarketTime(other))
        store = store_on(venue, witnesses=[confirming])
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


def test_the_practice_exchange_is_confirmed_by_nobody() -> None:
    with pytest.raises(ConfigError, match="one --exchange"):
        read_request(["--sandbox", "--exchange", "binance", "--exchange", "bybit"])
    settings = read_request(["--exchange", "binance", "--exchange", "bybit"]).settings.feeds
    assert (settings.exchange, settings.confirm_exchanges) == ("binance", ("bybit",))
