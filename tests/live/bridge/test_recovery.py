"""What a start makes of journal and venue: each execution booked once, cash counted once, whatever happened meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import ReconciliationFailed, TradingError, VenueRefused, VenueUnreachable
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import BalanceChanged
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.order_lookup import OrderLookup
from forwardtrader.live.execution.recovery.comparison import _AT_ONCE
from forwardtrader.live.venue import trade_pages
from forwardtrader.live.venue.order_access import VENUES
from tests import PATIENCE_S
from tests.live.books import require_agreement
from tests.live.market import HASTY, Script, play, practice, store_on

PATIENT = replace(HASTY, check_every_s=36_000.0)  # nothing is noticed by looking, as between two looks


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
            until = time.monotonic() + PATIENCE_S
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


def until(true: Any, seconds: float = PATIENCE_S) -> None:
    """Wait for something that happens in another thread; its failure is for the caller's own checks."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)


def test_money_that_is_moved_while_it_runs_is_reported_within_two_looks_and_the_cash_follows(tmp_path: Path) -> None:
    with practice() as venue:
        journal, seen = Journal(tmp_path / "j.db"), []
        store = store_on(venue, journal, run="one")
        store.getbroker().on_event = seen.append

        def move(s: Any) -> None:
            venue.control("deposit", asset="USDT", amount=250)
            venue.control("deposit", asset="BTC", amount=-0.005)
            until(lambda: any(isinstance(e, BalanceChanged) for e in store.events))

        run = play(venue, store, Script, 6, acts={0: buy, 3: move})
        changes = {e.asset: e.change for e in seen if isinstance(e, BalanceChanged)}
        assert changes == {"USDT": Decimal(250), "BTC": Decimal("-0.005")}
        assert len([e for e in seen if isinstance(e, BalanceChanged)]) == 2, "once each"
        assert run.broker.moved == 250.0  # what measures losses must not take it for a gain
        held = venue.state()["accounts"]["main"]["USDT"]
        assert run.broker.getcash() == pytest.approx(float(held["free"]) + float(held["locked"]), abs=1e-6)


def test_money_that_was_moved_while_nobody_looked_is_reported_by_the_next_start_once(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 4, acts={0: buy})
        venue.control("deposit", asset="USDT", amount=-300)
        for expected in ([Decimal(-300)], []):
            store, seen = store_on(venue, journal, run="one"), []
            store.getbroker().on_event = seen.append
            run = play(venue, store, Script, 2)
            assert [e.change for e in seen if isinstance(e, BalanceChanged)] == expected
            assert run.broker.moved == sum(expected)
            held = venue.state()["accounts"]["main"]["USDT"]
            assert run.broker.getcash() == pytest.approx(float(held["free"]) + float(held["locked"]), abs=1e-6)


def test_a_fill_that_no_socket_reports_right_after_the_start_is_noticed_long_before_the_next_regular_look(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: rest("buy", 0.01, 0.8)})
        [order] = venue.state()["open_orders"]
        timeouts = replace(HASTY, check_every_s=12.0)  # the first look after a connection comes after 0.2 s

        def fill(s: Any) -> None:
            venue.control("fault", name="F8", count=0)
            venue.control("fill", order_id=order["id"])
            until(lambda: len(journal.executions()) == 1, 6.0)
            assert len(journal.executions()) == 1

        run = play(venue, store_on(venue, journal, run="one", query_timeouts=timeouts), Script, 3, acts={0: fill})
        require_agreement(venue, journal, run, prefix="one-")


def lagging(monkeypatch: pytest.MonkeyPatch, lags: Callable[[], bool]) -> None:
    """Have the venue's list of executions stay empty while `lags` says so, and its reports be lost."""
    connect = CcxtAccount.connect

    async def connected(self: CcxtAccount) -> None:
        await connect(self)
        listed = self.client.fetch_my_trades

        async def fetch_my_trades(*given: Any) -> Any:
            return [] if lags() else await listed(*given)

        self.client.fetch_my_trades = fetch_my_trades

    monkeypatch.setattr(CcxtAccount, "connect", connected)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_executions_that_the_venue_lists_late_replace_what_stood_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    with practice() as venue:
        journal, lags = Journal(tmp_path / "j.db"), [True]
        lagging(monkeypatch, lambda: lags[0])

        def fill(s: Any) -> None:
            venue.control("fault", name="F8", count=0)
            venue.control("fill", order_id=venue.state()["open_orders"][0]["id"])
            until(lambda: journal.stand_ins())
            assert journal.stand_ins()
            lags[0] = False
            until(lambda: not journal.stand_ins())

        acts = {0: buy, 2: rest(side, 0.01, 0.9 if side == "buy" else 1.1), 3: fill}
        run = play(venue, store_on(venue, journal, run="one"), Script, 6, acts=acts)
        assert journal.stand_ins() == []
        require_agreement(venue, journal, run, prefix="one-")
        require_agreement(venue, journal, play(venue, store_on(venue, journal, run="one"), Script, 2), prefix="one-")


def test_a_list_that_lags_refuses_no_start_and_the_next_one_has_the_fees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with practice() as venue:
        journal, lags = Journal(tmp_path / "j.db"), [True]
        lagging(monkeypatch, lambda: lags[0])
        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: rest("buy", 0.02, 0.9)})
        [order] = venue.state()["open_orders"]
        venue.control("fill", order_id=order["id"])
        for _ in range(2):
            run = play(venue, store_on(venue, journal, run="one", query_timeouts=PATIENT), Script, 2)
            assert [e.size for e in journal.stand_ins()] == [Decimal("0.02")]
        lags[0] = False
        run = play(venue, store_on(venue, journal, run="one", query_timeouts=PATIENT), Script, 2)
        require_agreement(venue, journal, run, prefix="one-")
        assert journal.stand_ins() == []


def test_more_executions_than_a_page_holds_are_all_booked_with_their_fees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(VENUES["binance"], trades=replace(trade_pages.BINANCE, limit=7))
    monkeypatch.setitem(VENUES, "binance", short)
    with practice(faults={"F10": {"count": 0, "parts": 40}, "F8": {"count": 0}}) as venue:
        journal = Journal(tmp_path / "j.db")
        run = play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: buy})
        assert len(journal.executions()) == 40
        require_agreement(venue, journal, run, prefix="one-")


def test_an_order_that_was_given_up_though_it_rests_is_open_again(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: rest("buy", 0.01, 0.8), 1: buy})
        resting = journal.intents()[0][0].client_id
        journal.mark(resting, IntentState.REFUSED, note="it never arrived at the venue")
        run = play(venue, store_on(venue, journal, run="one"), Script, 2)
        assert journal.state_of(resting) is IntentState.ACKNOWLEDGED
        assert [order.info["client_id"] for order in run.broker.get_orders_open()] == [resting]
        require_agreement(venue, journal, run, prefix="one-")


def test_an_execution_of_an_order_that_was_given_up_is_found_where_the_balance_shows_it(tmp_path: Path) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 3, acts={0: rest("buy", 0.01, 0.8)})
        [(intent, _)] = journal.intents()
        journal.mark(intent.client_id, IntentState.REFUSED, note="it never arrived at the venue")
        [order] = venue.state()["open_orders"]
        venue.control("fill", order_id=order["id"])
        run = play(venue, store_on(venue, journal, run="one"), Script, 2)
        require_agreement(venue, journal, run, prefix="one-")
        assert journal.state_of(intent.client_id) is IntentState.DONE


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_execution_of_an_order_that_a_list_still_shows_resting_is_no_transfer(tmp_path: Path, side: str) -> None:
    with practice() as venue:
        journal, told = Journal(tmp_path / "j.db"), []
        acts = {0: buy, 2: rest(side, 0.01, 0.8 if side == "buy" else 1.2)}
        play(venue, store_on(venue, journal, run="one"), Script, 4, acts=acts)
        [order] = venue.state()["open_orders"]
        venue.control("lag", what="orders", seconds=3600)
        venue.control("fill", order_id=order["id"])
        store = store_on(venue, journal, run="one")
        store.getbroker().on_event = told.append
        run = play(venue, store, Script, 2)
        assert not [event for event in told if isinstance(event, BalanceChanged)]
        require_agreement(venue, journal, run, prefix="one-")


def test_intents_that_never_arrived_are_settled_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve, now, most = OrderLookup.resolve, 0, 0

    async def counted(lookup: OrderLookup, *given: Any) -> None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await resolve(lookup, *given)
        now -= 1

    monkeypatch.setattr(OrderLookup, "resolve", counted)
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 2, acts={0: buy})
        [(intent, _)] = journal.intents()
        for number in range(20):
            journal.write(replace(intent, client_id=f"one-lost-{number}"))
        play(venue, store_on(venue, journal, run="one"), Script, 1)
        assert (now, most) == (0, _AT_ONCE)
        assert [state for _, state in journal.open_intents()] == []


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


@pytest.mark.parametrize(
    ("fault", "on", "kind"),
    [
        ("F37", "query", VenueRefused), ("F37", "orders", VenueRefused), ("F37", "account", VenueRefused),
        ("F44", "query", VenueUnreachable), ("F44", "orders", VenueUnreachable), ("F4", "query", VenueUnreachable),
    ],
)  # fmt: skip
def test_a_start_that_the_venue_ends_ends_as_an_error_of_the_venue(tmp_path: Path, fault: str, on: str, kind: type[TradingError]) -> None:
    with practice() as venue:
        journal = Journal(tmp_path / "j.db")
        play(venue, store_on(venue, journal, run="one"), Script, 2, acts={0: buy})
        [(intent, _)] = journal.intents()
        journal.write(replace(intent, client_id="one-lost-1"))
        venue.arm(fault, on=on, count=0)
        with pytest.raises(kind) as ended:
            play(venue, store_on(venue, journal, run="one", query_timeouts=replace(HASTY, give_up_s=1.0)), Script, 1)
        assert ended.value.exit_code == 3
