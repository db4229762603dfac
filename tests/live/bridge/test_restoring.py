"""What a start makes of orders that belong together: time limits, partial fills, and orders that the venue refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.types import Side
from forwardtrader.live.bridge.contingent.missing_stops import Backoffs
from forwardtrader.live.execution.journal import IntentState, Journal
from tests.live.books import require_agreement
from tests.live.family_runner import SIZE
from tests.live.market import Script, play, practice, store_on
from tests.live.test_fault_families import Heir, carry_on, die

LAST_RELEASE = ("before a held order is released", 1)  # the entry is executed, its stop is not sent


def last_price(venue: Any) -> float:
    return float(venue.state()["symbols"]["BTC/USDT"]["last"])


def test_a_time_limit_counts_on_in_bar_time_after_a_restart(tmp_path: Path) -> None:
    with practice(history=60) as venue:
        journal = Journal(tmp_path / "j.db")

        def rest(s: Any) -> None:
            s.buy(size=SIZE, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit, valid=timedelta(minutes=7))
            s.buy(size=SIZE, price=s.data.close[0] * 0.5, exectype=bt.Order.Limit)

        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: rest})
        assert len(venue.state()["open_orders"]) == 2
        run = play(venue, store_on(venue, journal, run="one"), Script, 2)
        assert len(venue.state()["open_orders"]) == 2, "it expired too early"
        run = play(venue, store_on(venue, journal, run="one"), Script, 5)
        assert len(venue.state()["open_orders"]) == 1, "the time limit was forgotten"
        assert "Expired" in [told[1] for told in run.told]
        require_agreement(venue, journal, run, prefix="one")


def test_an_entry_that_is_filled_in_part_while_the_process_is_down_gets_a_stop_of_that_part(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "resting bracket", "after it is acknowledged", 1)
        venue.control("fill_cap", size=0.008)
        venue.control("price", price=last_price(venue) * 0.95)
        venue.advance()

        def give_up(s: Any) -> None:
            venue.control("fill_cap", size=None)
            [entry] = [order for order in s.broker.get_orders_open() if order.isbuy()]
            s.cancel(entry)

        heir, journal = carry_on(venue, path, 0.8, first=give_up)
        if 0 < heir.held < SIZE:  # else the rest was filled before its cancel
            assert heir.resting == [("stop", heir.held)]
        assert heir.held >= 0.008
        assert abs(heir.position.size) < 1e-9
        assert journal.open_intents() == []


@pytest.mark.parametrize("how", ["503", "html"])
def test_a_stop_that_never_arrived_is_sent_again_under_another_id(tmp_path: Path, how: str) -> None:
    path = tmp_path / "j.db"
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "bracket", *LAST_RELEASE)
        venue.arm("F4", how=how)
        heir, journal = carry_on(venue, path, 0.8)
        assert sorted(name for name, _, _ in heir.inherited) == ["Limit", "Stop"]
        assert heir.resting == [("stop", SIZE)]
        stops = [(intent, state) for intent, state in journal.intents() if intent.request.stop_price is not None]
        assert [state for _, state in stops] == [IntentState.REFUSED, IntentState.DONE]
        assert stops[1][0].replaces == stops[0][0].client_id != stops[1][0].client_id
        assert abs(heir.position.size) < 1e-9


def test_a_symbol_whose_stop_is_refused_is_not_traded_on_until_somebody_resumes_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "bracket", *LAST_RELEASE)
        venue.arm("F26")
        journal, told = Journal(path), []

        def patient() -> Any:
            store = store_on(venue, journal, run="one")
            store.getbroker().contingent.missing.backoffs = Backoffs((3600.0,))
            return store

        def enter(s: Any) -> None:
            told.append([str(order.info.refusal) for order in [s.buy(size=0.001)]])

        def resume(s: Any) -> None:
            s.broker.rearm()
            s.made = s.buy(size=0.001)

        play(venue, patient(), Script, 4, acts={2: enter})
        assert "an order that protects the position is missing" in told[0][0]
        assert venue.state()["open_orders"] == [], "stop and target wait here"
        venue.arm("F26")
        run = play(venue, patient(), Script, 6, acts={1: enter, 3: resume})
        assert [order["type"] for order in venue.state()["open_orders"]] == ["stop"]
        assert "an order that protects the position is missing" in told[1][0], "the restart forgot it"
        assert run.statuses_of(run.made)[-1] == "Completed"
        require_agreement(venue, journal, run, prefix="one")


def test_a_bracket_is_whole_in_a_session_whose_first_process_left_it_in_order(tmp_path: Path) -> None:
    with practice(history=60, fee_asset="quote") as venue:
        path = tmp_path / "j.db"

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.buy_bracket(size=SIZE, exectype=bt.Order.Market, stopprice=price * 0.9, limitprice=price * 1.1)

        play(venue, store_on(venue, Journal(path), run="one"), Script, 4, acts={0: enter})
        for _ in range(2):
            run = play(venue, store_on(venue, Journal(path), run="one"), Script, 2)
            assert [order["type"] for order in venue.state()["open_orders"]] == ["stop"]
            assert sorted(order.getordername() for order in run.broker.get_orders_open()) == ["Limit", "Stop"]
        heir, _ = carry_on(venue, path, 1.3)
        assert isinstance(heir, Heir)
        assert abs(heir.position.size) < 1e-9


def test_a_stop_does_not_sell_what_was_sold_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "bracket", *LAST_RELEASE)
        journal = Journal(path)
        [entry] = [intent for intent, _ in journal.intents() if not intent.parent]
        sold = journal.executions(entry.client_id)[0]
        journal.write(replace(entry, client_id="by-command", request=replace(entry.request, side=Side.SELL)))
        journal.book(replace(sold, client_id="by-command", trade_id="999", side="sell"))
        journal.mark("by-command", IntentState.DONE)
        play(venue, store_on(venue, journal, run="one"), Script, 2)
        assert venue.state()["open_orders"] == []
        assert journal.held_intents() == []
