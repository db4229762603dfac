"""The way of an order is walked for show before a bar is due, and nothing of it stays."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge import bar_wait
from forwardtrader.live.bridge.bt_rehearsal import rehearse_order
from forwardtrader.live.bridge.rehearsal import Rehearsal, expected, lead_s
from forwardtrader.live.execution.account_rehearsal import Unsent
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.parity.command import compare
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import Script, play, practice, store_on
from tests.live.session_runner import Momentum, request_for, run

BAR_S = 60.0


class Wall:
    """A clock that somebody else moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# When


def test_the_first_bar_says_when_the_next_is_due() -> None:
    assert expected(None, 100.0, BAR_S) == 160.0


@given(late=st.floats(0.0, 25.0), missed=st.integers(0, 5))
def test_a_late_bar_moves_what_is_expected_by_no_more_than_a_part_of_the_lead(late: float, missed: int) -> None:
    due = expected(160.0, 160.0 + missed * BAR_S + late, BAR_S)
    moved = due - (160.0 + (missed + 1) * BAR_S)
    assert -1e-6 <= moved <= min(late, 0.1 * lead_s(BAR_S)) + 1e-6


@given(early=st.floats(0.001, 25.0))
def test_an_early_bar_moves_it_at_once(early: float) -> None:
    assert expected(160.0, 160.0 - early, BAR_S) == pytest.approx(220.0 - early)


def turns_of(rehearsal: Rehearsal, wall: Wall, until: float) -> list[float]:
    """When it is time for steps, looked at every four milliseconds until a moment."""
    taken = []
    while wall.now < until:
        if rehearsal.turn():
            taken.append(wall.now)
        wall.now += 0.004
    return taken


def test_steps_are_taken_from_just_before_a_bar_is_due_and_not_for_ever() -> None:
    wall = Wall()
    rehearsal = Rehearsal(BAR_S, monotonic=wall)
    assert (rehearsal.rest_s(0.5), rehearsal.turn()) == (0.5, False)  # no bar has told yet when bars come
    rehearsal.bar_came()
    wall.now = 1059.5
    rehearsal.turn()
    assert rehearsal.rest_s(5.0) == pytest.approx(0.48)
    taken = turns_of(rehearsal, wall, 1065.0)
    assert 1059.98 <= taken[0] < 1059.985
    assert 1060.99 < taken[-1] < 1061.0
    assert rehearsal.rest_s(0.5) == 0.5


def test_while_it_is_on_the_wait_is_a_breath() -> None:
    wall = Wall()
    rehearsal = Rehearsal(BAR_S, monotonic=wall)
    rehearsal.bar_came()
    wall.now = 1059.99
    assert (rehearsal.turn(), rehearsal.is_still) == (True, False)
    assert rehearsal.rest_s(0.5) < 0.01


def test_at_the_moment_a_bar_is_expected_nobody_is_at_a_step() -> None:
    wall = Wall()
    rehearsal = Rehearsal(BAR_S, monotonic=wall)
    rehearsal.bar_came()
    for wall.now, is_still in ((1059.998, False), (1059.9995, True), (1060.002, True), (1060.004, False)):
        assert (rehearsal.turn(), rehearsal.is_still) == (True, is_still)
    wall.now = 1060.0
    assert 0.002 < rehearsal.rest_s(0.5) <= 0.003


def test_a_connection_is_opened_once_for_each_bar_and_well_before_it() -> None:
    wall = Wall()
    opened: list[float] = []
    rehearsal = Rehearsal(BAR_S, lambda: opened.append(wall.now), monotonic=wall)
    for bar in range(3):
        rehearsal.bar_came()
        wall.now += rehearsal.rest_s(100.0)
        turns_of(rehearsal, wall, 1000.0 + (bar + 1) * BAR_S)
        assert len(opened) == bar + 1
        wall.now = 1000.0 + (bar + 1) * BAR_S
    assert opened == pytest.approx([1059.0, 1119.0, 1179.0])


@pytest.mark.parametrize("bar_s", [0.0, 0.001])
def test_bars_that_come_when_they_are_asked_for_are_not_rehearsed(bar_s: float) -> None:
    wall = Wall()
    rehearsal = Rehearsal(bar_s, monotonic=wall)
    rehearsal.bar_came()
    wall.now += bar_s
    assert (rehearsal.rest_s(0.5), rehearsal.turn()) == (0.5, False)


# What


def test_a_rehearsed_order_leaves_nothing_anywhere(tmp_path: Path) -> None:
    journal, found = Journal(tmp_path / "journal.db"), {}

    def rehearse(strategy: Any) -> None:
        broker = strategy.broker
        before = next(bt.Order.refbasis)
        for _ in range(5):
            rehearse_order(broker, strategy.data)
        broker.store.account.rehearsal._shown.result(5)
        found["numbers"] = next(bt.Order.refbasis) - before
        found["told"] = list(broker._notices)

    with practice(fee_asset="quote") as venue:
        store = store_on(venue, journal)
        run = play(venue, store, Script, 4, acts={0: rehearse, 1: lambda s: s.buy(size=0.01)})
        made = [e for e in venue.log() if e["kind"] == "rest" and e["name"] == "POST order"]
        assert (len(made), venue.state()["orders"]) == (1, 1)
    assert found == {"numbers": 1, "told": []}
    assert [intent.request.size for intent, _ in journal.intents()] == [Decimal("0.01")]
    assert run.position.size == pytest.approx(0.01)
    journal.close()
    again = Journal(tmp_path / "journal.db")
    assert len(again.intents()) == 1
    again.close()


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
def test_the_double_of_a_client_makes_the_request_and_cannot_send_it(protocol: str) -> None:
    with practice(protocol=protocol) as venue:
        store = store_on(venue)
        store.getdata(dataname="BTC/USDT")
        store.getbroker()
        store.start()
        try:
            rehearsal, client = store.account.rehearsal, store.account.client
            client.fetch = client.fetch  # what a client carries itself stands before its class's
            before = len(venue.log())
            store.loop.call(rehearsal.order(_intent()))
            with pytest.raises(Unsent):
                store.loop.call(_ordered(rehearsal))
            assert requests_since(venue, before) == []
            assert "signature" not in str(client.last_request_body)
            store.loop.call(rehearsal.connection())
            [asked] = requests_since(venue, before)
            assert asked.endswith("time")
        finally:
            store.stop()


async def _ordered(rehearsal: Any) -> None:
    await rehearsal._double().create_order("BTC/USDT", "market", "buy", 0.01)


def requests_since(venue: SandboxHandle, count: int) -> list[str]:
    return [str(e["name"]) for e in venue.log()[count:] if e["kind"] == "rest"]


def _intent() -> Intent:
    request = OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.01"), limit_price=None, stop_price=None, reason="")
    return Intent(client_id="shown", request=request, bar=0, role="")


def test_a_rehearsal_that_fails_is_said_once_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def rehearse(strategy: Any) -> None:
        waits = strategy.broker.store.waiting
        for _ in range(6):
            for step in next(waits._rounds):
                step()

    with practice() as venue:
        store = store_on(venue)
        store.rehearse_decision = _fails
        play(venue, store, Script, 3, acts={0: rehearse})
    said = [record for record in caplog.records if record.message == "rehearsal_failed"]
    assert len(said) == 1
    assert "of no use" in str(said[0].__dict__)


def _fails() -> None:
    raise ValueError("of no use")


# The whole


def test_a_session_with_real_orders_by_the_clock_rehearses_and_is_equal_to_its_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"order": 0}
    shown = bar_wait.rehearse_order

    def counted(*given: Any) -> None:
        taken["order"] += 1
        shown(*given)

    monkeypatch.setattr(bar_wait, "rehearse_order", counted)
    flags = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0", "--speed", "14400")
    assert run(request_for(tmp_path, "one", 40, *flags)) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum() for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT")})
    assert parity.first_difference is None
    assert taken["order"] > 40


def test_the_venues_thread_rests_until_an_order_is_there_and_not_for_long() -> None:
    with practice() as venue:
        store = store_on(venue)
        waits = store.waiting

        def waited(*, is_whole: bool, rests: bool, ordered: bool) -> float:
            waits._rests = rests
            waits.bar_comes()
            if ordered:
                waits.hand_back()
            began = time.perf_counter()
            waits.give_way(is_whole)
            return time.perf_counter() - began

        assert waited(is_whole=True, rests=True, ordered=False) >= bar_wait._GIVE_WAY_S
        assert min(waited(is_whole=True, rests=True, ordered=True) for _ in range(20)) < 0.001
        assert min(waited(is_whole=False, rests=True, ordered=False) for _ in range(20)) < 0.001  # other symbols are still awaited
        assert min(waited(is_whole=True, rests=False, ordered=False) for _ in range(20)) < 0.001
        store.stop()
