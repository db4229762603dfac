"""What a start makes of journal and venue: each execution booked once, cash counted once, whatever happened meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.journal import IntentState, Journal
from tests.live.books import require_agreement
from tests.live.market import HASTY, Script, play, practice, store_on

PATIENT = replace(HASTY, check_every_s=60.0)  # nothing is noticed by looking, as between two looks


def rest(side: str, size: float, share: float, kind: int = bt.Order.Limit) -> Any:
    """An act: leave an order at the venue, at a share of the last price."""

    def act(s: Any) -> None:
        s.made = getattr(s, side)(size=size, price=round(s.data.close[0] * share, 2), exectype=kind)

    return act


def buy(s: Any) -> None:
    s.buy(size=0.02)


def between(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Have `act` done at the first start that reads the balances, after they were told and before anything else is asked."""
    connect, waiting = CcxtAccount.connect, [act]

    async def connected(self: CcxtAccount) -> None:
        await connect(self)
        told = self.client.fetch_balance

        async def fetch_balance(*given: Any) -> Any:
            answer = await told(*given)
            if waiting:
                waiting.pop()()
            return answer

        self.client.fetch_balance = fetch_balance

    monkeypatch.setattr(CcxtAccount, "connect", connected)


@pytest.mark.parametrize(
    ("side", "share", "kind"), [("sell", 1.2, bt.Order.Limit), ("buy", 0.8, bt.Order.Limit), ("sell", 0.8, bt.Order.Stop)]
)
def test_an_order_that_is_filled_between_two_questions_of_a_start_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, share: float, kind: int
) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 4, acts={0: buy, 2: rest(side, 0.01, share, kind)})
        [order] = venue.state()["open_orders"]
        between(monkeypatch, lambda: venue.control("fill", order_id=order["id"]))
        run = play(venue, store_on(venue, journal, run="one"), Script, 2)
        assert journal.open_intents() == []
        require_agreement(venue, journal, run, prefix="one-")


def fill_a_part_unheard(venue: Any) -> Any:
    """An act: by the end of the bar a part of the order that rests is filled, and the report of that is lost."""

    def act(s: Any) -> None:
        venue.control("fill_cap", size=0.004)
        venue.control("fault", name="F8")
        venue.control("price", price=s.made.created.price * 0.99)

    return act


def test_a_part_filled_before_a_start_is_booked_though_later_trades_are_known(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")

        def later(s: Any) -> None:
            venue.control("fill_cap", size=None)
            buy(s)

        acts = {0: rest("buy", 0.01, 0.9), 1: fill_a_part_unheard(venue), 2: later}
        play(venue, store_on(venue, journal, run="one", query_timeouts=PATIENT), Script, 4, acts=acts)
        [resting] = venue.state()["open_orders"]
        assert (float(resting["filled"]), len(journal.executions())) == (0.004, 1), "the later trade is known, the earlier is not"
        run = play(venue, store_on(venue, journal, run="one", query_timeouts=PATIENT), Script, 1)
        require_agreement(venue, journal, run, prefix="one-")


def test_a_lost_report_of_an_order_that_still_rests_is_made_up_for_by_the_next_look(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")

        def wait(s: Any) -> None:
            venue.control("fill_cap", size=None)
            buy(s)
            until = time.monotonic() + 5
            while len(journal.executions()) < 2 and time.monotonic() < until:
                time.sleep(0.05)

        acts = {0: rest("buy", 0.01, 0.9), 1: fill_a_part_unheard(venue), 2: wait}
        run = play(venue, store_on(venue, journal, run="one"), Script, 4, acts=acts)
        require_agreement(venue, journal, run, prefix="one-")


def test_coins_that_were_sold_by_hand_still_refuse_the_start_and_an_open_order_changes_nothing_of_that(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 4, acts={0: buy, 2: rest("buy", 0.01, 0.8)})
        venue.control("deposit", asset="BTC", amount=-0.01)
        with pytest.raises(ReconciliationFailed, match="sold by hand"):
            play(venue, store_on(venue, journal, run="one"), Script, 1)


def test_an_intent_in_doubt_that_never_arrived_is_settled_and_the_session_trades_on(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 2, acts={0: buy})
        [(intent, _)] = journal.intents()
        lost = replace(intent, client_id="one-lost-1")
        journal.write(lost)
        journal.mark("one-lost-1", IntentState.UNKNOWN)
        run = play(venue, store_on(venue, journal, run="one"), Script, 3, acts={1: buy})
        assert journal.state_of("one-lost-1") is IntentState.REFUSED
        assert len(venue.orders()) == 2
        require_agreement(venue, journal, run, prefix="one-")
