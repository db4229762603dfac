"""Whatever orders a strategy makes, in whatever sequence, they come out here as on Backtrader."""

from __future__ import annotations

import datetime
import random
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.strategies.compared import Case, differences, ours, plain
from tests.strategies.market import HOUR, candles

BARS = candles(60, volatility=0.02)
KINDS = (None, bt.Order.Market, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit, bt.Order.StopTrail, bt.Order.Close)
DO = ("buy", "sell", "close", "target", "percent", "cancel", "bracket", "short bracket", "oco", "family", "cash", "valid")

# What is done at a bar: which method, how much (in 64ths of a coin: sums without a rest), at which price relative to the close, and how.
ACTION = st.fixed_dictionaries({
    "bar": st.integers(1, 55),
    "do": st.sampled_from(DO),
    "size": st.integers(1, 20).map(lambda n: n / 64),
    "price": st.sampled_from([0.94, 0.98, 0.995, 1.0, 1.005, 1.02, 1.06]),
    "kind": st.sampled_from(KINDS),
    "hours": st.integers(0, 9),
})  # fmt: skip


class Scripted(bt.Strategy):
    """Does what it is given."""

    params = (("actions", ()),)

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.seen: list[Any] = []

    def notify_trade(self, trade: Any) -> None:
        self.seen.append((len(self), trade.isclosed, trade.size, trade.pnl))

    def next(self) -> None:
        for action in self.p.actions:
            if action["bar"] == len(self):
                self._act(**{key: value for key, value in action.items() if key != "bar"})
        self.seen.append((len(self), self.position.size, self.broker.getcash(), self.broker.getvalue(), self.broker.getvalue([self.data])))

    def _act(self, do: str, size: float, price: float, kind: int | None, hours: int) -> None:
        close = float(self.data.close[0])
        at, further = close * price, close * (1 + 2 * (price - 1))
        order: dict[str, Any] = {"size": size, "exectype": kind, "price": at}
        if kind == bt.Order.StopLimit:
            order["plimit"] = further
        elif kind == bt.Order.StopTrail:
            order |= {"trailpercent": 0.02}
            del order["price"]
        if do in ("buy", "sell"):
            self.made.append(getattr(self, do)(**order))
        elif do == "valid":
            self.made.append(self.buy(**order, valid=datetime.timedelta(hours=hours)))
        elif do == "close":
            self.close()
        elif do == "target":
            self.order_target_size(target=size * (1 if price >= 1 else -1))
        elif do == "percent":
            self.order_target_percent(target=(price - 1.0) * 10)
        elif do == "cancel":
            older = [made for made in self.made if made.created.dt < self.data.datetime[0]]  # Backtrader keeps those of this very bar
            if older:
                self.cancel(older[hours % len(older)])
        elif do == "bracket":
            self.made += [o for o in self.buy_bracket(size=size, price=at, stopprice=at * 0.97, limitprice=at * 1.03) if o]
        elif do == "short bracket":
            self.made += [
                o for o in self.sell_bracket(size=size, exectype=bt.Order.Market, stopprice=close * 1.03, limitprice=close * 0.97) if o
            ]
        elif do == "oco":
            first = self.sell(size=size, exectype=bt.Order.Stop, price=close * 0.98)
            self.made += [first, self.sell(size=size, exectype=bt.Order.Limit, price=close * 1.02, oco=first)]
        elif do == "family":
            parent = self.buy(size=size, transmit=False)
            self.made += [parent, self.sell(exectype=bt.Order.Stop, price=close * 0.97, parent=parent, size=size)]
        elif do == "cash":
            self.broker.add_cash(1000.0 * (price - 0.97))


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTION, min_size=1, max_size=14))
def test_any_sequence_of_orders_comes_out_as_on_backtrader(actions: list[dict[str, Any]]) -> None:
    case = Case("any", Scripted, params={"actions": tuple(actions)})
    markets = {"BTC/USDT": BARS}
    assert differences(ours(case, markets, HOUR), plain(case, markets, HOUR)) == []


class TightExits(bt.Strategy):
    """Brackets and OCO pairs so narrow that a bar reaches both exits, opens beyond either, or fills a parent and touches its child."""

    params = (("seed", 0),)

    def next(self) -> None:
        chance = random.Random(1000 * self.p.seed + len(self))
        close, width, side = float(self.data.close[0]), chance.choice([0.0005, 0.002, 0.005, 0.01]), chance.choice([1, -1])
        kind, first = chance.choice([(bt.Order.Market, 0.0), (bt.Order.Limit, -0.5), (bt.Order.Stop, 0.5)])
        entry = close * (1 + first * side * width)
        stop, further = entry * (1 - side * width), entry * (1 - 1.5 * side * width)
        stopexec, stopargs = chance.choice([
            (bt.Order.Stop, {}), (bt.Order.StopTrail, {"trailpercent": width}), (bt.Order.StopLimit, {"plimit": further}),
        ])  # fmt: skip
        if chance.random() < 0.25:
            loss = self.sell(size=0.25, exectype=bt.Order.Stop, price=close * (1 - width))
            self.sell(size=0.25, exectype=bt.Order.Limit, price=close * (1 + width), oco=loss)
        elif chance.random() < 0.5:
            (self.buy_bracket if side > 0 else self.sell_bracket)(
                size=0.25, exectype=kind, price=entry, valid=chance.choice([None, datetime.timedelta(hours=2)]), stopprice=stop,
                stopexec=stopexec, stopargs=stopargs, limitprice=entry * (1 + side * width),
            )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_exits_that_a_single_bar_reaches_both_fill_as_on_backtrader(seed: int) -> None:
    case, markets = Case("tight", TightExits, params={"seed": seed}), {"BTC/USDT": BARS}
    mine = ours(case, markets, HOUR)
    assert len(mine.fills) > 20
    assert differences(mine, plain(case, markets, HOUR)) == []
