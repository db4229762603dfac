"""Orders that come to nothing are counted by their own reason, however many numbers their messages hold."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt

from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from tests.strategies.market import PERP, candles, feed, knobs


class Everything(bt.Strategy):
    """Every kind of order that cannot be carried out."""

    def start(self) -> None:
        self.buy(size=1.0)

    def next(self) -> None:
        close, day = float(self.data.close[0]), datetime.timedelta(hours=2)
        step = len(self)
        if step < 10:
            self.buy(size=1e-7 * step)
            self.buy(size=1e-5 * step)
            self.sell(size=0.1 * step)
            self.buy(size=0.01, exectype=bt.Order.Limit, price=close * 0.5, valid=day)
            self.buy(size=10.0 * step)
        elif step == 20:
            self.buy(size=0.01)
        elif step == 22:
            self.sell(size=0.02)
            parent = self.sell(size=1.0, transmit=False)
            self.buy(size=1.0, exectype=bt.Order.Stop, price=close * 2, parent=parent)


def test_each_reason_has_its_own_count() -> None:
    record = record_of(build_cerebro([feed(candles(40))], knobs(), strategy=Everything).run()[0])
    assert record.refused == {
        "BTC/USDT": {
            "there is no bar yet": 1,
            "smaller than 0.00001 BTC": 9,
            "worth less than 5 USDT": 9,
            "BTC/USDT cannot be sold short, and none is held free of other orders": 9,
            "there was not enough cash for it (Margin)": 9,
            "not filled while it was valid (Expired)": 9,
            "more BTC than is held free of other orders": 2,
            "its parent order was refused or is over": 1,
        }
    }


class Short(bt.Strategy):
    """Sells so much of a perpetual that a rise takes everything, and holds it."""

    def __init__(self) -> None:
        self.bars: list[float] = []

    def nextstart(self) -> None:
        self.order_target_percent(target=-0.95)

    def next(self) -> None:
        self.bars.append(self.broker.getvalue())


def test_an_account_with_nothing_left_ends_the_run() -> None:
    bars = candles(200)
    for name in ("open", "high", "low", "close"):
        bars[name] *= 1.02 ** bars.reset_index().index.to_numpy()
    s: Any = build_cerebro([feed(bars, rules=PERP)], knobs(fee_bps=0), strategy=Short).run()[0]
    equity = record_of(s).equity["equity"]
    assert equity.iloc[-1] <= 0.0 < equity.iloc[-2]
    assert len(equity) < 100
