"""A stop whose answer is missing is unknown until the venue was asked: it is never beside a second one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.live.execution.events import Filled, Protected, Unprotected
from forwardtrader.live.execution.journal import Journal
from tests.live.books import require_agreement
from tests.live.bridge.test_partial_entries import SIZE, entered, stops_at
from tests.live.bridge.test_recovery import until
from tests.live.market import HASTY, Script, play, practice, store_on

_LONG_S = 4 * HASTY.not_found_s


def stops_sent(venue: Any) -> Counter[str]:
    """What became of every stop that reached the venue."""
    return Counter(order["status"].lower() for order in venue.orders() if order["type"] == "stop")


def fill(venue: Any, s: Any) -> None:
    """Have the entry of a bracket executed now."""
    [entry] = [order for order in venue.state()["open_orders"] if order["side"] == "buy"]
    venue.control("fill", order_id=entry["id"])


@pytest.mark.parametrize("answer", ["F1", "F2"])
@pytest.mark.parametrize("lagging", [("order",), ("orders", "order"), ("trades", "orders", "order")])
def test_a_stop_whose_answer_is_lost_is_found_though_the_venues_lists_lag(tmp_path: Path, answer: str, lagging: tuple[str, ...]) -> None:
    with practice(fee_asset="quote") as venue:
        journal = Journal(tmp_path / "j.db")

        def fill_entry(s: Any) -> None:
            for what in lagging:
                venue.control("lag", what=what, seconds=_LONG_S)
            venue.arm(answer)
            fill(venue, s)

        run = play(venue, store_on(venue, journal, run="one"), Script, 4, acts={0: entered, 1: fill_entry})
        assert stops_sent(venue) == {"new": 1}
        assert stops_at(venue) == [SIZE]
        assert [order.getstatusname() for order in run.made] == ["Completed", "Accepted", "Accepted"]
        assert not journal.recall("unprotected", {})
        require_agreement(venue, journal, run, prefix="one")


def test_a_stop_that_nothing_shows_for_long_is_alone_when_it_shows_at_last(tmp_path: Path) -> None:
    """Its answer and its report are lost, and every list lags for longer than 'not found' takes to be believed."""
    with practice(fee_asset="quote") as venue:
        journal = Journal(tmp_path / "j.db")

        def fill_entry(s: Any) -> None:
            fill(venue, s)
            until(lambda: any(isinstance(event, Filled) for event in s.broker.store.events))
            for what in ("trades", "orders", "order"):
                venue.control("lag", what=what, seconds=_LONG_S)
            venue.arm("F2")
            venue.arm("F8", count=3)

        play(venue, store_on(venue, journal, run="one"), Script, 8, acts={0: entered, 1: fill_entry})
        assert len(stops_at(venue)) == 1
        for what in ("trades", "orders", "order"):
            venue.control("lag", what=what, seconds=0)
        store, told = store_on(venue, journal, run="one"), []
        store.getbroker().on_event = told.append
        was_unprotected = bool(journal.recall("unprotected", {}))
        run = play(venue, store, Script, 3)
        assert len(stops_at(venue)) == 1
        assert [event.symbol for event in told if isinstance(event, Protected)] == ["BTC/USDT"] * was_unprotected
        assert (journal.recall("unprotected", {}), run.broker.unprotected) == ({}, {})
        require_agreement(venue, journal, run, prefix="one")


def test_a_symbol_takes_new_exposure_again_once_a_stop_rests_for_all_of_its_position(tmp_path: Path) -> None:
    """The stop of a bracket is refused; later the strategy leaves another one."""
    with practice(fee_asset="quote") as venue:
        told: list[Any] = []

        def refuse_the_stop(s: Any) -> None:
            venue.arm("F26")
            fill(venue, s)

        def add(s: Any) -> None:
            s.added = [*getattr(s, "added", []), s.buy(size=SIZE / 2)]

        def half(s: Any) -> None:
            s.sell(size=SIZE / 2, exectype=bt.Order.Stop, price=s.data.close[0] * 0.8)

        acts = {
            0: entered,
            1: refuse_the_stop,
            3: lambda s: [s.cancel(o) for o in s.broker.get_orders_open()],
            5: half,
            6: add,
            7: half,
            8: add,
        }
        store = store_on(venue, Journal(tmp_path / "j.db"), run="one")
        store.getbroker().on_event = told.append
        run = play(venue, store, Script, 11, acts=acts)
        assert [order.getstatusname() for order in run.added] == ["Rejected", "Completed"]
        assert [type(event) for event in told if isinstance(event, Protected | Unprotected)] == [Unprotected, Protected]
