"""Trailing stops with real orders: they stand where they stand in a backtest, bar by bar, and a position is never left without one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.live.execution.journal import Journal
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.feed_context import context_of
from tests.live.family_runner import SIZE, reach
from tests.live.market import Script, play, practice, store_on
from tests.live.test_fault_families import carry_on, die
from tests.strategies.market import feed, knobs

KINDS = {
    "percent": {"exectype": bt.Order.StopTrail, "trailpercent": 0.003},
    "amount": {"exectype": bt.Order.StopTrail, "trailamount": 150.0},
    "from a price": {"exectype": bt.Order.StopTrail, "price": 1e9, "trailpercent": 0.001},
    "limit": {"exectype": bt.Order.StopTrailLimit, "trailpercent": 0.003},
}


class Trails(bt.Strategy):
    """Enters, and protects itself by a trailing stop, a bracket's or one of its own.

    Attributes:
        stands: by bar that does not reach it, what its stop waits for.
        rests: what rested at the venue between two bars, beside what should.
        fills: bar, side and size of each execution.
    """

    params = (("kind", "percent"), ("bracket", False), ("first", 3), ("exchange", None))

    def __init__(self) -> None:
        self.loss: Any = None
        self.stands: list[tuple[float, float]] = []
        self.rests: list[tuple[float, list[float]]] = []
        self.looked = 0
        self.fills: list[tuple[float, bool, float]] = []
        self.bars: list[tuple[Any, ...]] = []

    def start(self) -> None:
        if self.p.exchange is not None:
            self.broker.on_turn = self.look

    def look(self) -> None:
        """Between two bars, once everything is answered for."""
        is_there = self.loss is not None and self.loss.alive() and self.loss.active() and self.data.low[0] > self.loss.created.price
        if is_there and self.looked < len(self) and self.broker.is_settled:
            self.looked = len(self)
            resting = [float(o["stop_price"]) for o in self.p.exchange.state()["open_orders"] if "stop_price" in o]
            self.rests.append((self.loss.created.price, resting))

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.fills.append((order.executed.dt, order.isbuy(), round(order.executed.size, 8)))

    def trail(self, size: float) -> Any:
        chosen = dict(KINDS[self.p.kind])
        if chosen["exectype"] == bt.Order.StopTrailLimit:
            chosen |= {"price": self.data.close[0], "plimit": self.data.close[0] * 0.9995}
        if "price" in chosen:
            chosen["price"] = self.data.close[0] * 0.999
        return self.sell(size=size, **chosen)

    def next(self) -> None:
        now = self.data.datetime[0]
        self.bars.append((bt.num2date(now), *(getattr(self.data, name)[0] for name in ("open", "high", "low", "close", "volume"))))
        if len(self) < self.p.first:
            return
        if self.loss is not None and self.loss.alive():
            if self.data.low[0] > self.loss.created.price:  # else its execution may be reported after the bar
                self.stands.append((now, self.loss.created.price))
        elif len(self) == self.p.first:
            self.enter()
        elif self.position and self.loss is None:
            self.loss = self.trail(0.1)

    def enter(self) -> None:
        if not self.p.bracket:
            self.buy(size=0.1)
            return
        chosen = KINDS[self.p.kind]
        _, self.loss, _ = self.buy_bracket(
            size=0.1, exectype=bt.Order.Market, stopexec=chosen["exectype"], stopargs={"trailpercent": chosen["trailpercent"]},
            limitprice=self.data.close[0] * 2,
        )  # fmt: skip


def replayed(run: Any, **params: Any) -> Any:
    """The same strategy in a backtest, on the bars that it has met."""
    frame = pd.DataFrame(run.bars, columns=["time", "open", "high", "low", "close", "volume"]).set_index("time")
    frame.index = frame.index.tz_localize("UTC")
    rules = context_of(run.data).rules
    settings = knobs(fee_bps=0, slippage_bps=0, cash=1e6)
    return build_cerebro([feed(frame, rules=rules)], settings, strategy=Trails, strategy_params=params).run()[0]


@pytest.mark.parametrize(("kind", "bracket"), [*((kind, False) for kind in KINDS), ("percent", True)])
def test_a_trailing_stop_stands_where_it_stands_in_a_backtest(kind: str, bracket: bool) -> None:
    with practice(fee_asset="quote", history=20, balances={"USDT": "1000000"}) as venue:
        chosen = {"kind": kind, "bracket": bracket}
        run = play(venue, store_on(venue), Trails, 40, exchange=venue, **chosen)
        there = replayed(run, **chosen)
    assert len({price for _, price in run.stands}) > 1, "it never moved"
    assert run.stands == there.stands
    assert run.fills == there.fills
    assert len(run.rests) >= 4
    assert all(resting == [price] for price, resting in run.rests), "it was not at the venue, or stood elsewhere"


FAR = {"size": 0.1, "exectype": bt.Order.StopTrail, "trailpercent": 0.02}
LIVES = [
    ("after room is made", 1),  # where it stands next is durable, its cancel was not sent
    ("after a cancel", 1),
    ("before a held order is released", 1),  # it is off the venue, and was not sent again
    ("after it is claimed for sending", 3),  # nobody knows whether it was
    ("after it is acknowledged", 3),
]


def survive(path: Path, point: str, count: int) -> None:
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "trailing", point, count)
        stops = [i.request.stop_price for i, _ in Journal(path).intents() if i.trail is not None]
        assert len(stops) == 2
        heir, journal = carry_on(venue, path, 0.8)
        assert heir.inherited == [("StopTrail", True, -SIZE)]
        assert heir.resting == [("stop", SIZE)]
        assert heir.position.size == 0
        assert all(a <= b for a, b in itertools.pairwise(i.request.stop_price for i, _ in journal.intents() if i.trail is not None))
        [executed] = {e.client_id for e in journal.executions() if e.side == "sell"}
        assert journal.intent(executed).request.stop_price >= stops[1], "it went back"


@pytest.mark.parametrize(("point", "count"), [LIVES[2]])
def test_a_stop_that_is_being_moved_when_its_process_dies_stands_after_the_next_start(tmp_path: Path, point: str, count: int) -> None:
    survive(tmp_path / "journal.db", point, count)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), LIVES)
def test_a_stop_stands_wherever_its_process_died(tmp_path: Path, point: str, count: int) -> None:
    survive(tmp_path / "journal.db", point, count)


def test_a_stop_that_the_market_passes_while_it_is_moved_is_executed() -> None:
    """The new stop is above the price by then, where no venue takes it: it goes as a market order."""
    with practice(fee_asset="quote") as venue:

        def fall(s: Any) -> None:
            make_room = s.broker.contingent.make_room

            def falling(resting: Any, other: Any) -> None:
                make_room(resting, other)
                reach(venue, s, resting.created.price * 0.999)

            s.broker.contingent.make_room = falling

        acts = {
            0: lambda s: s.buy(size=0.1),
            2: lambda s: (fall(s), setattr(s, "trail", s.sell(price=s.data.close[0] * 0.5, **FAR))),
        }
        run = play(venue, store_on(venue), Script, 8, acts=acts)
        assert run.statuses_of(run.trail)[-1] == "Completed"
        assert (run.position.size, venue.state()["open_orders"]) == (0, [])
        assert run.broker.unprotected == {}
