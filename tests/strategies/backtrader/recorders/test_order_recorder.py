"""Orders as they were decided."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd

from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from tests.strategies.market import candles, feed, knobs


class Trails(bt.Strategy):
    """Buys, and lets a stop follow from the moment it is told that it has bought."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.moved: list[float] = []

    def next(self) -> None:
        if len(self) == 20:
            self.buy(size=0.01)
        if self.asked and self.position:
            self.moved.append(self.stop_order.created.price)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.isbuy():
            self.stop_order = self.sell(size=order.executed.size, exectype=bt.Order.StopTrailLimit, trailpercent=0.3, plimit=15_000.0)
            self.asked.append((self.stop_order.created.price, self.stop_order.created.pricelimit))


def rising(rows: int = 60) -> pd.DataFrame:
    bars = candles(rows)
    close = [20_000.0 + 50.0 * n for n in range(rows)]
    return bars.assign(open=close, high=[c + 60 for c in close], low=[c - 10 for c in close], close=[c + 50 for c in close])


def test_a_trailing_stop_is_recorded_as_it_was_asked_for_though_its_first_bar_has_moved_it_when_it_is_told_of() -> None:
    cerebro = build_cerebro([feed(rising())], knobs(cash=1000.0), strategy=Trails, analyzers=[(OrderRecorder, {"_name": "orders"})])
    [run] = cerebro.run()
    recorded = run.analyzers.orders.frame()
    [asked] = run.asked
    assert run.moved[1] > run.moved[0] == asked[0], "its first bar moves it"
    assert recorded.loc[recorded["side"] == "sell", ["price", "limit"]].to_numpy().tolist() == [list(asked)]
