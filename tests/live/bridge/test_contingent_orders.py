"""Contingent orders: which belong together, and how a bracket or an OCO group is executed at the practice exchange."""

from __future__ import annotations

import time
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.live.bridge.contingent.groups import OrderGroups, is_reached
from tests import PATIENCE_S
from tests.live.market import Script, play, practice, store_on


class Kin:
    """An order as far as its groups look at it."""

    def __init__(self, ref: int, parent: Kin | None = None) -> None:
        self.ref, self.parent, self.is_alive = ref, parent, True

    def alive(self) -> bool:
        return self.is_alive


def test_families_and_groups_of_orders_that_are_done_are_forgotten() -> None:
    groups, resting = OrderGroups(), Kin(1)
    stays = [Kin(2, resting), Kin(3, resting)]
    for order in (resting, *stays):
        groups.add(order, None)
    for ref in range(10, 3_000, 3):
        parent = Kin(ref)
        family = [parent, Kin(ref + 1, parent), Kin(ref + 2, parent)]
        for order in family:
            groups.add(order, None if order is not family[2] else family[1])
        for order in family:
            order.is_alive = False
    assert groups.children(resting) == stays
    assert groups.siblings(stays[0]) == stays[1:]
    assert len(groups._children) + len(groups._oco) < 140


def test_orders_of_one_group_have_one_key_and_others_their_own() -> None:
    groups, first, second, third, alone = OrderGroups(), Kin(1), Kin(2), Kin(3), Kin(4)
    groups.add(first, None)
    groups.add(second, first)
    groups.add(third, second)
    groups.add(alone, None)
    assert groups.group_of(first) == groups.group_of(second) == groups.group_of(third) != groups.group_of(alone)
    child = Kin(5, alone)
    assert groups.group_of(child) == groups.family_of(alone) != groups.group_of(alone)


@pytest.mark.parametrize(
    ("kind", "sells", "price", "reached"),
    [
        (bt.Order.Limit, True, 99.0, False), (bt.Order.Limit, True, 100.0, True), (bt.Order.Limit, False, 101.0, False),
        (bt.Order.Stop, True, 101.0, False), (bt.Order.Stop, True, 100.0, True), (bt.Order.Stop, False, 100.0, True),
        (bt.Order.Stop, False, 99.0, False), (bt.Order.Limit, True, None, False),
    ],
)  # fmt: skip
def test_the_market_reaches_a_limit_from_one_side_and_a_stop_from_the_other(kind: int, sells: bool, price: float, reached: bool) -> None:
    class Order:
        exectype = kind
        created = type("Created", (), {"price": 100.0})

        def issell(self) -> bool:
            return sells

    assert is_reached(Order(), price) is reached


def reach(venue: Any, s: Any, share: float) -> None:
    """Move the market, and wait until the feed has the price."""
    price = s.data.close[0] * share
    venue.control("price", price=price)
    until = time.monotonic() + PATIENCE_S
    while abs(s.broker.store.prices.get("BTC/USDT", 0) / price - 1) > 0.001 and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize(("share", "filled", "cancelled"), [(1.2, "gain", "loss"), (0.8, "loss", "gain")])
@pytest.mark.parametrize("first", ["loss", "gain"])
def test_an_oco_pair_locks_its_coins_once_and_one_of_it_is_executed(share: float, filled: str, cancelled: str, first: str) -> None:
    """Two coins held, a pair of one each: the other one can be sold beside it, as in a backtest."""
    with practice(fee_asset="quote", balances={"USDT": "200000"}) as venue:

        def pair(s: Any) -> None:
            prices = {"loss": (bt.Order.Stop, s.data.close[0] * 0.9), "gain": (bt.Order.Limit, s.data.close[0] * 1.1)}
            oco = None
            for name in (first, "gain" if first == "loss" else "loss"):
                kind, price = prices[name]
                oco = s.sell(size=1.0, exectype=kind, price=price, oco=oco)
                setattr(s, name, oco)

        def further(s: Any) -> None:
            s.further, s.beyond = s.sell(size=1.0), s.sell(size=1.0)

        acts = {0: lambda s: s.buy(size=2.0), 2: pair, 4: further, 6: lambda s: reach(venue, s, share)}
        run = play(venue, store_on(venue), Script, 12, acts=acts)
        assert run.statuses_of(run.further)[-1] == "Completed"
        assert run.statuses_of(run.beyond)[-1] == "Rejected"
        assert run.statuses_of(getattr(run, filled))[-1] == "Completed"
        assert run.statuses_of(getattr(run, cancelled))[-1] == "Canceled"
        assert run.position.size == 0
        assert venue.state()["open_orders"] == []


def test_cancelling_one_of_an_oco_pair_cancels_both_as_in_a_backtest() -> None:
    with practice(fee_asset="quote") as venue:

        def pair(s: Any) -> None:
            s.loss = s.sell(size=0.1, exectype=bt.Order.Stop, price=s.data.close[0] * 0.9)
            s.gain = s.sell(size=0.1, exectype=bt.Order.Limit, price=s.data.close[0] * 1.1, oco=s.loss)

        run = play(venue, store_on(venue), Script, 6, acts={0: lambda s: s.buy(size=0.1), 2: pair, 3: lambda s: s.cancel(s.loss)})
        assert [run.statuses_of(order)[-1] for order in (run.loss, run.gain)] == ["Canceled", "Canceled"]
        assert venue.state()["open_orders"] == []


def test_the_children_of_a_bracket_wait_and_one_of_them_is_executed() -> None:
    with practice() as venue:

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.parent, s.loss, s.gain = s.buy_bracket(size=0.02, exectype=bt.Order.Market, stopprice=price * 0.9, limitprice=price * 1.1)

        def rise(s: Any) -> None:
            s.resting = [o["type"] for o in venue.state()["open_orders"]]
            reach(s, s.data.close[0] * 1.2)

        def reach(s: Any, price: float) -> None:
            venue.control("price", price=price)
            until = time.monotonic() + PATIENCE_S
            while s.broker.store.prices.get("BTC/USDT", 0) < price * 0.999 and time.monotonic() < until:
                time.sleep(0.01)

        run = play(venue, store_on(venue), Script, 8, acts={0: enter, 2: rise})
        assert run.resting == ["stop"]
        assert run.statuses_of(run.parent)[-1] == "Completed"
        assert run.statuses_of(run.gain)[-1] == "Completed"
        assert run.statuses_of(run.loss)[-1] == "Canceled"
        assert abs(run.position.size) < 1e-5
        assert venue.state()["open_orders"] == []


def test_the_stop_of_a_bracket_takes_the_limit_with_it() -> None:
    with practice() as venue:

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.parent, s.loss, s.gain = s.buy_bracket(size=0.02, exectype=bt.Order.Market, stopprice=price * 0.9, limitprice=price * 1.1)

        run = play(venue, store_on(venue), Script, 8, acts={0: enter, 2: lambda s: venue.control("price", price=s.data.close[0] * 0.8)})
        assert (run.statuses_of(run.loss)[-1], run.statuses_of(run.gain)[-1]) == ("Completed", "Canceled")
        assert abs(run.position.size) < 1e-5


def test_a_bracket_whose_parent_is_cancelled_leaves_nothing() -> None:
    with practice() as venue:

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.bracket = s.buy_bracket(size=0.02, price=price * 0.5, stopprice=price * 0.4, limitprice=price * 1.1)

        run = play(venue, store_on(venue), Script, 4, acts={0: enter, 1: lambda s: s.cancel(s.bracket[0])})
        assert [run.statuses_of(o)[-1] for o in run.bracket] == ["Canceled"] * 3
        assert (venue.state()["orders"], venue.state()["open_orders"]) == (1, [])


def test_a_bracket_does_not_leave_without_its_stop() -> None:
    """The stop is worth too little at its price, below the least of 5."""
    with practice(fee_asset="quote") as venue:

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.bracket = s.buy_bracket(size=5.6 / price, exectype=bt.Order.Market, stopprice=price * 0.85, limitprice=price * 1.1)

        run = play(venue, store_on(venue), Script, 4, acts={0: enter, 2: lambda s: setattr(s, "later", s.buy(size=0.1))})
        assert [run.statuses_of(order)[-1] for order in run.bracket] == ["Rejected"] * 3
        assert "a child order of it was refused: " in run.bracket[0].info.refusal
        assert run.statuses_of(run.later)[-1] == "Completed"
        assert (venue.state()["orders"], round(run.position.size, 8)) == (1, 0.1)


def test_a_bracket_whose_last_order_is_refused_leaves_nothing_that_waits() -> None:
    with practice(fee_asset="quote") as venue:

        def enter(s: Any) -> None:
            price = s.data.close[0]
            s.bracket = s.buy_bracket(size=0.1, exectype=bt.Order.Market, stopprice=price * 0.9, limitexec=bt.Order.Close)

        run = play(venue, store_on(venue), Script, 4, acts={0: enter})
        assert [run.statuses_of(order)[-1] for order in run.bracket] == ["Rejected", "Canceled", "Rejected"]
        assert (venue.state()["orders"], run.position.size) == (0, 0)
        assert run.broker.get_orders_open() == []


def oco_pair(s: Any) -> None:
    s.loss = s.sell(size=0.1, exectype=bt.Order.Stop, price=s.data.close[0] * 0.9)
    s.gain = s.sell(size=0.1, exectype=bt.Order.Limit, price=s.data.close[0] * 1.1, oco=s.loss)


def test_the_stop_of_an_oco_pair_rests_again_when_the_limit_it_made_room_for_is_refused() -> None:
    with practice(fee_asset="quote") as venue:

        def rise(s: Any) -> None:
            venue.arm("F26")
            reach(venue, s, 1.2)

        run = play(venue, store_on(venue), Script, 8, acts={0: lambda s: s.buy(size=0.1), 2: oco_pair, 4: rise})
        assert (run.gain.getstatusname(), run.loss.getstatusname()) == ("Margin", "Accepted")
        assert [order["type"] for order in venue.state()["open_orders"]] == ["stop"]
        assert not run.broker.contingent.is_held(run.loss)
