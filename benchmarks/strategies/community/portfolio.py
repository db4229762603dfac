"""Rules on sizes and several feeds."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class OwnSizer(bt.Strategy):
    """Ten per cent of the account, by a sizer that the strategy chooses."""

    def __init__(self) -> None:
        self.setsizer(bt.sizers.PercentSizer(percents=10, retint=False))
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))

    def next(self) -> None:
        if self.cross > 0:
            self.buy()
        elif self.cross < 0 and self.position:
            self.close()


class Unsized(bt.Strategy):
    """Leaves sizes to the sizer of the run."""

    params = (("fast", 5), ("slow", 20))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy()
        elif self.cross < 0 and self.position:
            self.sell()


class TargetPercent(bt.Strategy):
    """Long or short by a share of the account, whatever is held."""

    def __init__(self) -> None:
        self.trend = bt.ind.EMA(period=24)

    def next(self) -> None:
        if len(self) % 6 == 0:
            self.order_target_percent(target=0.6 if self.data.close[0] > self.trend[0] else -0.3)


class TargetValue(bt.Strategy):
    """So much money in the market, by the day of the month."""

    def next(self) -> None:
        if self.data.datetime.datetime(0).hour == 0:
            self.order_target_value(target=100.0 * self.data.datetime.date(0).day)


class Pair(bt.Strategy):
    """The second feed decides, the first is traded; and found by name."""

    def __init__(self) -> None:
        self.other = self.getdatabyname("ETH/USDT")
        self.ratio = self.data0.close / self.data1.close
        self.mean = bt.ind.SMA(self.ratio, period=48)

    def next(self) -> None:
        if self.ratio[0] > self.mean[0] and not self.getposition(self.other).size:
            self.close(data=self.data0)
            self.buy(data=self.other, size=1.0)
        elif self.ratio[0] < self.mean[0] and not self.getpositionbyname("BTC/USDT").size:
            self.close(data=self.other)
            self.buy(data=self.data0, size=0.1)


class Rotation(bt.Strategy):
    """The strongest of the symbols, looked at every day."""

    def __init__(self) -> None:
        self.strength: dict[Any, Any] = {data: bt.ind.ROC100(data.close, period=72) for data in self.datas}

    def next(self) -> None:
        if len(self) % 24:
            return
        best = max(self.datas, key=lambda data: float(self.strength[data][0]))
        for data in self.datas:
            self.order_target_percent(data=data, target=0.9 if data is best else 0.0)


class TwoTrades(bt.Strategy):
    """Two trades on one feed, told apart by their ids."""

    def __init__(self) -> None:
        self.closed: list[tuple[int, int, float]] = []

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.closed.append((len(self), trade.tradeid, trade.pnl))

    def next(self) -> None:
        step = len(self) % 40
        if step in (1, 5):
            self.buy(size=0.02, tradeid=step)
        elif step in (20, 30):
            self.sell(size=0.02, tradeid=1 if step == 20 else 5)
