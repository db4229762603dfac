"""A bracket whose entry is executed in part and rests on: what it brought has its stop at the venue."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from tests.live.books import require_agreement
from tests.live.bridge.test_recovery import until
from tests.live.market import Script, play, practice, store_on
from tests.live.test_fault_families import carry_on, die

SIZE = 0.02


def stops_at(venue: Any) -> list[float]:
    """Sizes of the stops that rest at the venue."""
    return [round(float(o["size"]) - float(o["filled"]), 8) for o in venue.state()["open_orders"] if o["type"] == "stop"]


def entered(s: Any) -> None:
    """An act: leave a bracket at the venue, whose entry is below the market."""
    price = s.data.close[0]
    s.made = s.buy_bracket(size=SIZE, price=round(price * 0.97, 2), stopprice=round(price * 0.9, 2), limitprice=round(price * 1.1, 2))


class Parts(Script):
    """Has parts of its bracket's entry executed, bar by bar, and notes what is held then, and the stops at the venue.

    Params:
        parts: base units that one print of the market executes at most, for each bar from the second one on.
        then: done in the bar after them.
    """

    params = (("exchange", None), ("parts", ()), ("then", None))

    def __init__(self) -> None:
        super().__init__()
        self.covered: dict[int, tuple[float, list[float]]] = {}  # by bar, once nothing was in flight

    def start(self) -> None:
        self.broker.on_turn = self.look

    def look(self) -> None:
        if self.broker.is_settled:
            self.covered[self.live_bars] = (round(self.broker.units_held(self.data), 8), stops_at(self.p.exchange))

    def next(self) -> None:
        super().next()
        if not self.data.is_current or self.live_bars < 1:
            return
        entry = next((order for order in self.broker.get_orders_open() if order.isbuy()), None)
        if self.live_bars <= len(self.p.parts) and entry is not None:
            self.p.exchange.control("fill_cap", size=self.p.parts[self.live_bars - 1])
            self.p.exchange.control("price", price=entry.created.price * (1 - 1e-5))
        elif self.live_bars == len(self.p.parts) + 1 and self.p.then is not None:
            self.p.then(self)


def played(venue: Any, path: Path, bars: int = 4, **params: Any) -> tuple[Any, Journal]:
    journal = Journal(path)
    run = play(venue, store_on(venue, journal, run="one"), Parts, bars, exchange=venue, **params)
    require_agreement(venue, journal, run, prefix="one")
    return run, journal


def fall_to_the_stop(s: Any) -> None:
    """An act: the market reaches the stop while the entry rests."""
    s.p.exchange.control("fill_cap", size=None)
    s.p.exchange.control("price", price=s.made[1].created.price * 0.999)


def cancel_entry(s: Any) -> None:
    s.cancel(s.made[0])


def require_covered(run: Any) -> None:
    """In every bar there is one stop for what is held, or for nearly all of it."""
    assert any(held for held, _ in run.covered.values()), "nothing was executed"
    for held, stops in run.covered.values():
        assert len(stops) == (held > 0), "no stop, or two"
        assert not held or 0 <= held - stops[0] < 0.2 * held, "a large part of the position has no stop"


def test_a_stop_covers_the_first_part_at_once_and_grows_with_the_next_ones(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        run, journal = played(venue, tmp_path / "j.db", 6, parts=(0.002, 0.0001, 0.003, 0.1), acts={0: entered})
        require_covered(run)
        assert any(0 < held < SIZE for held, _ in run.covered.values())
        assert [order.getstatusname() for order in run.made] == ["Completed", "Accepted", "Accepted"]
        assert stops_at(venue) == [SIZE]
        assert not journal.recall("unprotected", {})


@pytest.mark.parametrize("fee_asset", ["quote", "received"])
def test_an_entry_that_is_taken_back_leaves_a_stop_of_what_it_brought(tmp_path: Path, fee_asset: str) -> None:
    with practice(fee_asset=fee_asset) as venue:
        run, journal = played(venue, tmp_path / "j.db", 5, parts=(0.002, 0.0002), then=cancel_entry, acts={0: entered})
        require_covered(run)
        held = run.broker.units_held(run.data)
        assert 0 < held < SIZE
        [stop] = stops_at(venue)
        assert held - 1e-5 < stop <= held + 1e-12
        assert [order.getstatusname() for order in run.made] == ["Canceled", "Accepted", "Accepted"]
        assert not journal.recall("unprotected", {})


def test_a_stop_that_is_executed_for_a_part_ends_the_entry_and_leaves_nothing(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        run, journal = played(venue, tmp_path / "j.db", 8, parts=(0.002, 0.0002), then=fall_to_the_stop, acts={0: entered})
        assert abs(run.broker.units_held(run.data)) < 1e-9, "the part that its stop did not cover was left behind"
        assert venue.state()["open_orders"] == []
        assert journal.open_intents() == []
        assert journal.held_intents() == []
        assert not any(order.alive() for order in run.made)


def rise_to_the_target(s: Any) -> None:
    """An act: the market reaches the limit of the bracket while the entry rests."""
    s.p.exchange.control("fill_cap", size=None)
    s.p.exchange.control("price", price=s.made[2].created.price * 1.001)
    until(lambda: s.broker.store.prices["BTC/USDT"] > s.made[2].created.price)


@pytest.mark.parametrize("fee_asset", ["quote", "received"])
def test_the_target_that_is_reached_while_the_entry_rests_ends_the_entry_and_is_taken(tmp_path: Path, fee_asset: str) -> None:
    with practice(fee_asset=fee_asset) as venue:
        run, journal = played(venue, tmp_path / "j.db", 8, parts=(0.002, 0.0002), then=rise_to_the_target, acts={0: entered})
        assert [order.getstatusname() for order in run.made] == ["Canceled", "Canceled", "Completed"]
        assert run.position.size == 0
        assert venue.state()["open_orders"] == []
        assert journal.held_intents() == []


def test_the_target_of_an_entry_of_which_nothing_was_executed_leaves_it_resting(tmp_path: Path) -> None:
    with practice() as venue:
        run, _ = played(venue, tmp_path / "j.db", 4, parts=(), then=rise_to_the_target, acts={0: entered})
        assert [order.getstatusname() for order in run.made] == ["Accepted"] * 3
        assert [order["side"] for order in venue.state()["open_orders"]] == ["buy"]


def sold(journal: Journal) -> Decimal:
    return sum((e.size for e in journal.executions() if e.side == "sell"), Decimal(0))


def left_with_its_stop(venue: Any, path: Path) -> tuple[Journal, Intent]:
    """An entry of which 0.002 was executed is over, and the stop of that rests, beside a position of 0.01 that has none."""

    def enter_beside_others(s: Any) -> None:
        s.buy(size=0.01)
        entered(s)

    _, journal = played(venue, path, 4, parts=(0.002,), then=cancel_entry, acts={0: enter_beside_others})
    [(stop, _)] = journal.open_intents()
    return journal, stop


def fall_meanwhile(venue: Any, stop: Intent, bars: int) -> None:
    assert stop.request.stop_price is not None
    for bar in range(bars):
        venue.control("price", price=float(stop.request.stop_price) * (0.999 - bar / 1000))
        venue.advance()


def test_what_a_stop_sold_in_several_executions_is_not_sold_again(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        _, stop = left_with_its_stop(venue, tmp_path / "j.db")
        venue.control("fill_cap", size=0.001)
        fall_meanwhile(venue, stop, 3)
        journal = Journal(tmp_path / "j.db")  # knows both executions before the broker is told of one
        run = play(venue, store_on(venue, journal, run="one"), Script, 3)
        assert sold(journal) == Decimal("0.002"), "coins of another order were sold"
        assert abs(run.position.size - 0.01) < 1e-9
        assert run.broker.get_orders_open() == []
        assert journal.held_intents() == []


def test_a_stop_that_was_executed_under_an_earlier_name_than_its_last_one_is_over(tmp_path: Path) -> None:
    with practice(fee_asset="quote") as venue:
        journal, stop = left_with_its_stop(venue, tmp_path / "j.db")
        later = replace(stop, client_id=f"{stop.client_id}z", replaces=stop.client_id)
        journal.hold(later)
        journal.mark(later.client_id, IntentState.DROPPED, note="canceled")  # the strategy took it back; the venue was faster
        venue.control("fill_cap", size=None)
        fall_meanwhile(venue, stop, 2)
        run = play(venue, store_on(venue, Journal(tmp_path / "j.db"), run="one"), Script, 2)
        assert run.broker.get_orders_open() == []
        assert abs(run.position.size - 0.01) < 1e-9


AT_THE_TARGET = [
    ("before a cancel", 2),  # the entry's: the first one is of the stop that grew
    ("after a cancel", 2),
    ("after room is made", 3),  # the stop's, for the limit
    ("before a cancel", 3),
    ("after a cancel", 3),
]


def take_the_target(path: Path, point: str, count: int) -> None:
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "partial bracket", point, count, rises=4)
        venue.control("fill_cap", size=None)
        heir, journal = carry_on(venue, path, 1.3)
        assert abs(heir.position.size) < 1e-4
        assert sum(e.size for e in journal.executions() if e.side == "sell") == sum(e.size for e in journal.executions() if e.side == "buy")
        assert venue.state()["open_orders"] == []
        assert not journal.recall("unprotected", {})


def test_a_target_is_taken_though_its_process_died_while_the_entry_was_cancelled(tmp_path: Path) -> None:
    take_the_target(tmp_path / "j.db", *AT_THE_TARGET[1])


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), AT_THE_TARGET)
def test_a_target_is_taken_wherever_its_process_died(tmp_path: Path, point: str, count: int) -> None:
    take_the_target(tmp_path / "j.db", point, count)


POINTS = [
    ("after an execution is booked", 1),  # the first part's
    ("after room is made", 1),  # the stop for a part has its intent
    ("before a held order is released", 1),
    ("after it is claimed for sending", 2),
    ("after the answer", 2),
    ("after it is acknowledged", 2),
    ("after room is made", 2),  # it is about to grow
    ("before a cancel", 1),
    ("after a cancel", 1),
    ("before a held order is released", 2),
    ("after it is claimed for sending", 3),
    ("after it is acknowledged", 3),
]


def survive(path: Path, point: str, count: int, *, falls: bool) -> None:
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "partial bracket", point, count)
        run, journal = played(venue, path, 3)
        held = run.broker.units_held(run.data)
        assert held >= 0.008
        assert sum(stops_at(venue)) == pytest.approx(held), "a part of the position has no stop"
        assert len(stops_at(venue)) == 1
        assert [o["side"] for o in venue.state()["open_orders"] if o["type"] == "limit"] == ["buy"] * (held < SIZE)
        [entry] = [intent for intent, _ in journal.intents() if not intent.parent]
        journal.close()
        if falls:  # while nothing runs: the stop and, before it, the rest of the entry
            venue.control("fill_cap", size=None)
            venue.control("price", price=float(entry.request.limit_price or 0) * 0.85)
            venue.advance()
        run, journal = played(venue, path, 6)
        assert not journal.recall("unprotected", {})
        if falls:
            assert abs(run.broker.units_held(run.data)) < 1e-9
            assert venue.state()["open_orders"] == []
            assert journal.held_intents() == []
        else:
            assert sum(stops_at(venue)) == pytest.approx(run.broker.units_held(run.data))


@pytest.mark.parametrize(("point", "count"), [POINTS[0], POINTS[2], POINTS[8]])
def test_a_part_has_its_stop_after_a_death_between_two_steps(tmp_path: Path, point: str, count: int) -> None:
    survive(tmp_path / "j.db", point, count, falls=True)


@pytest.mark.slow
@pytest.mark.parametrize("falls", [True, False])
@pytest.mark.parametrize(("point", "count"), POINTS)
def test_a_part_has_its_stop_wherever_its_process_died(tmp_path: Path, point: str, count: int, falls: bool) -> None:
    survive(tmp_path / "j.db", point, count, falls=falls)
