"""Rules on prices: crossovers, oscillators, channels, and pyramids on them."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class Crossover(bt.Strategy):
    """The quickstart: one order at a time, in and out by a moving average."""

    params = (("period", 15), ("stake", 0.1))

    def __init__(self) -> None:
        self.sma = bt.indicators.SimpleMovingAverage(self.data, period=self.p.period)
        self.order: Any = None

    def notify_order(self, order: Any) -> None:
        if order.status not in (order.Submitted, order.Accepted):
            self.order = None

    def next(self) -> None:
        if self.order:
            return
        if not self.position and self.data.close[0] > self.sma[0]:
            self.order = self.buy(size=self.p.stake)
        elif self.position and self.data.close[0] < self.sma[0]:
            self.order = self.sell(size=self.p.stake)


class RelativeStrength(bt.Strategy):
    """Buy what fell too fast, sell what rose too fast."""

    params = {"period": 14, "low": 35, "high": 65}  # noqa: RUF012  # as many write it

    def __init__(self) -> None:
        self.rsi = bt.indicators.RSI_SMA(self.data.close, period=self.p.period)

    def next(self) -> None:
        if not self.position:
            if self.rsi < self.p.low:
                self.buy()
        elif self.rsi > self.p.high:
            self.close()


class Bands(bt.Strategy):
    """A limit order at the lower band, taken back when the band moves; out at the middle."""

    def __init__(self) -> None:
        self.bands = bt.ind.BollingerBands(period=20, devfactor=2.0)
        self.entry: Any = None

    def next(self) -> None:
        if self.position:
            if self.data.close[0] > self.bands.mid[0]:
                self.close()
            return
        if self.entry and self.entry.alive():
            self.cancel(self.entry)
        self.entry = self.buy(exectype=bt.Order.Limit, price=self.bands.bot[0], size=0.05)


class MacdWithStop(bt.Strategy):
    """MACD crossing up, out at a stop that follows by ATR."""

    params = (("macd1", 12), ("macd2", 26), ("macdsig", 9), ("atrperiod", 14), ("atrdist", 3.0), ("dirperiod", 10))

    def __init__(self) -> None:
        self.macd = bt.indicators.MACD(
            self.data, period_me1=self.p.macd1, period_me2=self.p.macd2, period_signal=self.p.macdsig
        )  # fmt: skip
        self.mcross = bt.indicators.CrossOver(self.macd.macd, self.macd.signal)
        self.atr = bt.indicators.ATR(self.data, period=self.p.atrperiod)
        self.smadir = bt.indicators.SMA(self.data, period=30) - bt.indicators.SMA(self.data, period=30)(-self.p.dirperiod)
        self.pstop = 0.0

    def start(self) -> None:
        self.order: Any = None

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            pass
        if not order.alive():
            self.order = None

    def next(self) -> None:
        if self.order:
            return
        if not self.position:
            if self.mcross[0] > 0.0 and self.smadir < 0.0:
                self.order = self.buy()
                self.pstop = self.data.close[0] - self.atr[0] * self.p.atrdist
        elif self.data.close[0] < self.pstop:
            self.close()
        else:
            self.pstop = max(self.pstop, self.data.close[0] - self.atr[0] * self.p.atrdist)


class DonchianChannels(bt.Indicator):
    """The indicator as it is posted most often."""

    alias = ("DCH",)
    lines = ("dcm", "dch", "dcl")
    params = {"period": 20, "lookback": -1}  # noqa: RUF012

    def __init__(self) -> None:
        hi, lo = self.data.high, self.data.low
        if self.p.lookback:
            hi, lo = hi(self.p.lookback), lo(self.p.lookback)
        self.l.dch = bt.ind.Highest(hi, period=self.p.period)
        self.l.dcl = bt.ind.Lowest(lo, period=self.p.period)
        self.l.dcm = (self.l.dch + self.l.dcl) / 2.0


class Donchian(bt.Strategy):
    """Long above the channel, short below it."""

    def __init__(self) -> None:
        self.channel = DonchianChannels()

    def next(self) -> None:
        if self.data[0] > self.channel.dch[0]:
            self.order_target_size(target=0.1)
        elif self.data[0] < self.channel.dcl[0]:
            self.order_target_size(target=-0.1)


class Turtle(bt.Strategy):
    """Up to four units sized by ATR, one more each half ATR, out at two ATR or the opposite channel."""

    params = (("entry", 20), ("exit", 10), ("risk", 0.01), ("units", 4))

    def __init__(self) -> None:
        self.high = bt.ind.Highest(self.data.high(-1), period=self.p.entry)
        self.low = bt.ind.Lowest(self.data.low(-1), period=self.p.exit)
        self.atr = bt.ind.AverageTrueRange(period=20)
        self.held, self.last, self.stopped = 0, 0.0, 0.0

    def next(self) -> None:
        price = self.data.close[0]
        unit = self.broker.getvalue() * self.p.risk / self.atr[0] / 4
        if self.held and (price < self.low[0] or price < self.stopped):
            self.close()
            self.held = 0
        elif (0 < self.held < self.p.units and price > self.last + 0.5 * self.atr[0]) or (not self.held and price > self.high[0]):
            self._add(unit, price)

    def _add(self, unit: float, price: float) -> None:
        self.buy(size=unit)
        self.held, self.last, self.stopped = self.held + 1, price, price - 2 * self.atr[0]


class Pyramid(bt.Strategy):
    """A stop entry above each fill; the whole of it leaves through `close`."""

    def __init__(self) -> None:
        self.fast, self.slow = bt.ind.EMA(period=10), bt.ind.EMA(period=40)
        self.cross = bt.ind.CrossOver(self.fast, self.slow)

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=0.02)
        elif self.cross < 0:
            for order in self.broker.get_orders_open(safe=False):
                self.cancel(order)
            self.close()

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.isbuy() and self.position.size < 0.1:
            self.buy(exectype=bt.Order.Stop, price=order.executed.price * 1.01, size=0.02)
