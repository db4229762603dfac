"""A session that runs for months keeps no orders that are done."""

from __future__ import annotations

import backtrader as bt

from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.strategy_guard import KEPT, BarHook
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.backtrader.order_recorder import OrderRecorder
from tests.strategies.market import candles, feed, knobs


def test_a_long_session_lets_go_of_orders_that_are_done() -> None:
    class Restless(bt.Strategy):
        most = told = 0

        def next(self) -> None:
            self.close() if self.position else self.buy(size=0.1)
            self.most = max(self.most, len(self._orders), len(self.broker.orders), len(self.broker._pchildren))
            self.told = max(self.told, len(self.analyzers.orders.told))

    broker = PaperBroker(cash=100_000.0)
    cerebro = build_cerebro(
        [feed(candles(2_400))], knobs(), strategy=Restless, broker=broker,
        analyzers=[(BarHook, {"done": lambda *_: None}), (OrderRecorder, {"_name": "orders"})],
    )  # fmt: skip
    run = cerebro.run()[0]
    orders = run.analyzers.orders.frame()
    assert len(orders) > 2_000
    assert not orders["timestamp"].duplicated().any(), "an order was collected twice"
    assert len(run.analyzers.fills.frame()) > 2_000
    assert run.most < 2 * KEPT
    assert run.told < len(orders) / 1.5
