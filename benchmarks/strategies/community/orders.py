"""Rules on orders: brackets, OCO, stops that trail, orders that expire, and orders of another kind."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt


class Bracket(bt.Strategy):
    """The bracket of Backtrader's documentation, with a limit entry that expires."""

    params = (("size", 0.05), ("limit", 0.005))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))
        self.orefs: list[int] = []

    def notify_order(self, order: Any) -> None:
        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)

    def next(self) -> None:
        if self.orefs or self.position or not self.cross > 0.0:
            return
        close = self.data.close[0]
        p1 = close * (1.0 - self.p.limit)
        legs = self.buy_bracket(
            size=self.p.size, price=p1, valid=datetime.timedelta(hours=6), stopprice=p1 - 0.02 * close, limitprice=p1 + 0.02 * close
        )  # fmt: skip
        self.orefs = [order.ref for order in legs]


class UnsizedBracket(bt.Strategy):
    """A market entry whose size, and that of both legs, is the sizer's."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))

    def next(self) -> None:
        if self.cross > 0 and not self.position:
            close = self.data.close[0]
            self.buy_bracket(exectype=bt.Order.Market, stopprice=close * 0.985, limitprice=close * 1.02)


class HandMadeBracket(bt.Strategy):
    """Parent and children by hand, without sizes."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))

    def next(self) -> None:
        if self.position or not self.cross > 0:
            return
        close = self.data.close[0]
        parent = self.buy(transmit=False)
        self.sell(exectype=bt.Order.Stop, price=close * 0.98, parent=parent, transmit=False)
        self.sell(exectype=bt.Order.Limit, price=close * 1.02, parent=parent, transmit=True)


class ShortBracket(bt.Strategy):
    """A bracket around a short."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))

    def next(self) -> None:
        if self.cross < 0 and not self.position:
            close = self.data.close[0]
            self.sell_bracket(size=0.05, exectype=bt.Order.Market, stopprice=close * 1.02, limitprice=close * 0.98)


class OneCancelsOthers(bt.Strategy):
    """Three limit orders of which one is filled, then held for ten bars: the sample of Backtrader."""

    params = (("hold", 10), ("valid", 8))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))
        self.orefs: list[int] = []
        self.holdstart = 0

    def notify_order(self, order: Any) -> None:
        if not order.alive() and order.ref in self.orefs:
            self.orefs.remove(order.ref)
        if order.status == order.Completed:
            self.holdstart = len(self)

    def next(self) -> None:
        if self.orefs:
            return
        if not self.position:
            if self.cross > 0.0:
                close = self.data.close[0]
                first = self._entry(close * 0.995)
                self.orefs = [first.ref, self._entry(close * 0.99, first).ref, self._entry(close * 0.98, first).ref]
        elif len(self) - self.holdstart >= self.p.hold:
            self.close()

    def _entry(self, price: float, oco: Any = None) -> Any:
        hours = datetime.timedelta(hours=self.p.valid)
        return self.buy(exectype=bt.Order.Limit, price=price, valid=self.data.datetime.datetime(0) + hours, size=0.05, oco=oco)


class ExitsByOco(bt.Strategy):
    """A stop and a limit at either side of a position, one of which cancels the other."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=20)

    def next(self) -> None:
        if not self.position and self.data.close[0] > self.average[0]:
            self.buy(size=0.05)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.isbuy():
            price = order.executed.price
            stop = self.sell(size=0.05, exectype=bt.Order.Stop, price=price * 0.98)
            self.sell(size=0.05, exectype=bt.Order.Limit, price=price * 1.03, oco=stop)


class Trailing(bt.Strategy):
    """A stop that trails by two per cent."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=10), bt.ind.SMA(period=30))

    def next(self) -> None:
        if not self.position and self.cross > 0:
            self.buy(size=0.05)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.isbuy():
            self.sell(size=order.executed.size, exectype=bt.Order.StopTrail, trailpercent=0.02)


class TrailingLimit(bt.Strategy):
    """A stop limit that trails by an amount."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=10), bt.ind.SMA(period=30))
        self.exit: Any = None

    def next(self) -> None:
        if not self.position:
            if self.cross > 0:
                self.buy(size=0.05)
                self.exit = None
        elif self.exit is None:
            price = self.data.close[0]
            self.exit = self.sell(size=0.05, exectype=bt.Order.StopTrailLimit, price=price, plimit=price * 0.999, trailamount=0.02 * price)


class StopLimitEntry(bt.Strategy):
    """In above the day's high, and no worse than one per mille beyond it, within a day."""

    def __init__(self) -> None:
        self.high = bt.ind.Highest(self.data.high, period=24)
        self.expired = 0

    def next(self) -> None:
        if self.position:
            if len(self) - self.filled_at >= 12:
                self.close()
            return
        if not self.broker.get_orders_open():
            top = self.high[0]
            self.buy(size=0.05, exectype=bt.Order.StopLimit, price=top, plimit=top * 1.001, valid=datetime.timedelta(days=1))

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.filled_at = len(self)
        elif order.status == order.Expired:
            self.expired += 1


class MarketOnClose(bt.Strategy):
    """In at the close of the day, out at the next one."""

    def next(self) -> None:
        if self.data.datetime.time(0) == datetime.time(12, 0):
            if self.position:
                self.close(exectype=bt.Order.Close)
            else:
                self.buy(size=0.05, exectype=bt.Order.Close)


class LimitChain(bt.Strategy):
    """A ladder of limit orders, each filled one followed by a sale above it; sizes that floats add up without a rest."""

    def __init__(self) -> None:
        self.rungs: dict[int, float] = {}

    def next(self) -> None:
        if not self.broker.get_orders_open() and not self.position:
            for step in range(1, 4):
                price = self.data.close[0] * (1 - 0.004 * step)
                self.rungs[self.buy(size=0.015625, exectype=bt.Order.Limit, price=price).ref] = price

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.ref in self.rungs:
            self.sell(size=0.015625, exectype=bt.Order.Limit, price=self.rungs.pop(order.ref) * 1.006)


class CancelAndReplace(bt.Strategy):
    """One resting bid, moved after the market at every bar."""

    def __init__(self) -> None:
        self.bid: Any = None

    def next(self) -> None:
        if self.position:
            self.close()
            return
        if self.bid is not None:
            self.broker.cancel(self.bid)
        self.bid = self.buy(size=0.03, exectype=bt.Order.Limit, price=self.data.low[-1] if len(self) > 1 else self.data.low[0])
