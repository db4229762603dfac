"""A stop that the venue refuses is sent again after a while; where it stays refused its position is closed, or somebody has to act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.settings import RiskSettings
from forwardtrader.live.bridge.contingent.missing_stops import GIVEN_UP, Backoffs
from forwardtrader.live.bridge.venue_thread import VenueThread
from forwardtrader.live.execution.events import Filled, Protected, Unprotected
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.venue.keys import ccxt_credentials
from tests.live.books import require_agreement
from tests.live.bridge.test_lost_stops import fill
from tests.live.bridge.test_partial_entries import SIZE, entered, stops_at
from tests.live.bridge.test_recovery import until
from tests.live.family_runner import reach
from tests.live.market import Script, play, practice, store_on

AT_ONCE = Backoffs(stop_s=(0.0, 0.0), closes=2)


def refused(times: int) -> Any:
    """An act: the entry of the bracket is executed, and its stop refused so often."""

    def act(s: Any) -> None:
        if times:
            s.exchange.arm("F26", count=times)
        fill(s.exchange, s)
        until(lambda: any(isinstance(event, Filled) for event in s.broker.store.events))

    return act


class Died(Exception):
    """The process ends here."""


class Bracket(Script):
    """Knows its exchange."""

    params = (("exchange", None),)

    @property
    def exchange(self) -> Any:
        return self.p.exchange


def played(venue: Any, path: Path, acts: dict[int, Any], bars: int = 4, **options: Any) -> tuple[Any, list[Any], Journal]:
    journal, told = Journal(path), []
    store = store_on(venue, journal, run="one", **options)
    broker = store.getbroker()
    broker.on_event, broker.contingent.missing.backoffs = told.append, AT_ONCE
    run = play(venue, store, Bracket, bars, exchange=venue, acts=acts)
    require_agreement(venue, journal, run, prefix="one")
    return run, [event for event in told if isinstance(event, Protected | Unprotected)], journal


def sent(venue: Any) -> list[tuple[str, str]]:
    return [(order["type"], order["status"].lower()) for order in venue.orders()]


@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_that_is_refused_is_sent_again_until_the_venue_takes_it(tmp_path: Path, times: int) -> None:
    with practice(fee_asset="quote") as venue:
        run, told, journal = played(venue, tmp_path / "j.db", {0: entered, 1: refused(times)})
        assert stops_at(venue) == [SIZE]
        assert [type(event) for event in told] == [Unprotected, Protected]
        assert [order.getstatusname() for order in run.made] == ["Completed", "Accepted", "Accepted"]
        assert (journal.recall("unprotected", {}), run.broker.unprotected) == ({}, {})


def test_a_position_whose_stop_stays_refused_is_closed_at_the_market(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:

        def buy_more(s: Any) -> None:
            s.more = s.buy(size=SIZE)

        run, told, journal = played(venue, tmp_path / "j.db", {0: entered, 1: refused(3), 4: buy_more}, bars=6)
        assert venue.state()["open_orders"] == []
        assert [order.getstatusname() for order in run.made] == ["Completed", "Completed", "Canceled"]
        assert run.broker.getposition(run.data).size == 0
        assert ["sent again" in told[0].reason, "closed at the market" in told[1].reason, len(told)] == [True, True, 2]
        assert run.more.getstatusname() == "Rejected"  # until somebody resumes
        assert set(journal.recall("unprotected")) == {"BTC/USDT"}


def test_a_position_that_cannot_be_closed_either_is_given_up_after_a_few_times(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        run, told, journal = played(venue, tmp_path / "j.db", {0: entered, 1: refused(9)}, bars=5)
        assert run.made[1].getstatusname() == "Margin"
        assert GIVEN_UP in told[-1].reason
        states = [state for intent, state in journal.intents() if intent.request.stop_price is not None]
        assert states == [IntentState.REFUSED] * 5  # the first one, two more, and two at the market


def test_where_that_is_wanted_a_position_is_held_without_its_stop(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        run, told, _ = played(venue, tmp_path / "j.db", {0: entered, 1: refused(3)}, risk=RiskSettings(on_missing_stop="hold"))
        assert [order.getstatusname() for order in run.made][:2] == ["Completed", "Margin"]
        assert GIVEN_UP in told[-1].reason
        assert run.broker.getposition(run.data).size == pytest.approx(SIZE)
        run, told, _ = played(venue, tmp_path / "j.db", {})
        assert [type(event) for event in told] == [Unprotected]  # a start does not take up what was given up
        assert stops_at(venue) == []


def test_a_stop_that_waits_is_sent_at_once_when_the_market_reaches_it(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        journal, told = Journal(tmp_path / "j.db"), []
        store = store_on(venue, journal, run="one")
        broker = store.getbroker()
        broker.on_event, broker.contingent.missing.backoffs = told.append, Backoffs((3600.0,))

        def fall(s: Any) -> None:
            assert stops_at(venue) == []
            reach(venue, s, s.made[1].created.price * 0.999)

        run = play(venue, store, Bracket, 5, exchange=venue, acts={0: entered, 1: refused(1), 3: fall})
        assert [order.getstatusname() for order in run.made] == ["Completed", "Completed", "Canceled"]
        require_agreement(venue, journal, run, prefix="one")


def test_a_stop_that_waits_and_is_cancelled_is_not_sent(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        store = store_on(venue, Journal(tmp_path / "j.db"), run="one")
        store.getbroker().contingent.missing.backoffs = Backoffs((3600.0,))
        acts = {0: entered, 1: refused(1), 2: lambda s: s.cancel(s.made[1])}
        run = play(venue, store, Bracket, 4, exchange=venue, acts=acts)
        assert run.made[1].getstatusname() == "Canceled"
        assert not store.getbroker().contingent.missing._missing
        assert venue.state()["open_orders"] == []


def test_a_refused_stop_is_made_by_the_next_start_where_the_process_died_before_it_knew(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        journal = Journal(tmp_path / "j.db")
        store = store_on(venue, journal, run="one")

        def die(*_: Any) -> bool:
            raise Died

        store.getbroker().contingent.send_again = die
        with pytest.raises(Died):
            play(venue, store, Bracket, 4, exchange=venue, acts={0: entered, 1: refused(1)})
        states = [state for intent, state in journal.intents() if intent.request.stop_price is not None]
        assert states == [IntentState.REFUSED]
        run, told, _ = played(venue, tmp_path / "j.db", {})
        assert stops_at(venue) == [SIZE]
        assert told == []
        assert run.broker.getposition(run.data).size == pytest.approx(SIZE)


def test_a_stop_whose_tick_has_grown_is_sent_again_on_the_new_grid(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:

        def grown(s: Any) -> None:
            venue.arm("F25", factor=100)
            fill(venue, s)

        run, told, _ = played(venue, tmp_path / "j.db", {0: entered, 1: grown})
        [price] = [order["stop_price"] for order in venue.state()["open_orders"] if order["type"] == "stop"]
        assert float(price) % 1.0 == 0.0
        assert [type(event) for event in told] == [Unprotected, Protected]
        assert run.made[1].alive()


@pytest.mark.parametrize(
    ("refusals", "pause"), [(1, 5.0), (2, 15.0), (4, 300.0), (5, 0.0), (6, 300.0), (16, 300.0), (17, None), (99, None)]
)
def test_pauses_grow_and_end(refusals: int, pause: float | None) -> None:
    assert Backoffs().pause_after(refusals) == pause


def cancel_all(venue: Any) -> None:
    """Somebody with the same key cancels whatever rests."""
    urls = {"base_url": venue.url, "ws_url": venue.ws_url}
    thread = VenueThread()
    thread.start()
    client = thread.open_client(venue.protocol, keys=ccxt_credentials(venue.api_key, venue.api_secret, ""), **urls)
    for order in venue.state()["open_orders"]:
        thread.call(client.cancel_order(str(order["id"]), "BTC/USDT", {}))
    thread.stop(client.close)


def taken_back(kind: str) -> Any:
    """An act: somebody cancels an order of the bracket at the venue."""

    def act(s: Any) -> None:
        [order] = [order for order in s.exchange.state()["open_orders"] if order["type"] == kind]
        client = s.broker.store.account.client
        s.broker.store.loop.call(client.cancel_order(str(order["id"]), "BTC/USDT", {}))

    return act


def test_a_stop_that_somebody_cancels_at_the_venue_is_sent_again(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        run, told, journal = played(venue, tmp_path / "j.db", {0: entered, 1: refused(0), 3: taken_back("stop")}, bars=6)
        assert stops_at(venue) == [SIZE]
        assert [type(event) for event in told] == [Unprotected, Protected]
        assert [order.getstatusname() for order in run.made] == ["Completed", "Accepted", "Accepted"]
        assert journal.ended_unreported() == []


def test_a_limit_that_somebody_cancels_at_the_venue_leaves_the_stop_of_its_bracket(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:

        def rise(s: Any) -> None:
            s.exchange.control("fill_cap", size=SIZE / 4)
            reach(s.exchange, s, s.made[2].created.price)

        acts = {0: entered, 1: refused(0), 3: rise, 4: taken_back("limit")}
        run, _, _ = played(venue, tmp_path / "j.db", acts, bars=7)
        held = run.broker.getposition(run.data).size
        assert held > 0
        assert stops_at(venue) == [pytest.approx(held)]
        assert run.made[2].getstatusname() == "Canceled"


def test_a_stop_that_is_cancelled_at_the_venue_while_nothing_runs_is_made_by_the_next_start(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        played(venue, tmp_path / "j.db", {0: entered, 1: refused(0)})
        cancel_all(venue)
        assert stops_at(venue) == []
        played(venue, tmp_path / "j.db", {})
        assert stops_at(venue) == [SIZE]


def test_a_stop_that_the_strategy_cancels_is_not_made_again(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        acts = {0: entered, 1: refused(0), 3: lambda s: s.cancel(s.made[1])}
        run, told, _ = played(venue, tmp_path / "j.db", acts, bars=6)
        assert [order.getstatusname() for order in run.made] == ["Completed", "Canceled", "Canceled"]
        played(venue, tmp_path / "j.db", {})
        assert (venue.state()["open_orders"], told) == ([], [])
