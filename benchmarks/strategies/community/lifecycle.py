"""Rules on what Backtrader calls when: notifications, `prenext` to `stop`, timers, statistics, and the account itself."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt


class HoldFiveBars(bt.Strategy):
    """The quickstart's exit: five bars after the fill was told."""

    def __init__(self) -> None:
        self.order: Any = None
        self.bar_executed = 0

    def notify_order(self, order: Any) -> None:
        if order.status in (order.Submitted, order.Accepted):
            return
        if order.status == order.Completed:
            self.bar_executed = len(self)
        self.order = None

    def next(self) -> None:
        if self.order:
            return
        if not self.position:
            if self.data.close[0] < self.data.close[-1] < self.data.close[-2]:
                self.order = self.buy(size=0.05)
        elif len(self) >= self.bar_executed + 5:
            self.order = self.sell(size=0.05)


class WaitUntilCompleted(bt.Strategy):
    """A machine of states that goes on with a completed order only."""

    def __init__(self) -> None:
        self.state = "flat"
        self.average = bt.ind.SMA(period=12)
        self.seen: list[tuple[int, str, float]] = []

    def notify_order(self, order: Any) -> None:
        self.seen.append((len(self), order.getstatusname(), float(self.average[0])))
        if order.status == order.Completed:
            self.state = {"buying": "long", "selling": "flat"}[self.state]

    def next(self) -> None:
        if self.state == "flat" and self.data.close[0] > self.average[0]:
            self.buy(size=0.05)
            self.state = "buying"
        elif self.state == "long" and self.data.close[0] < self.average[0]:
            self.sell(size=0.05)
            self.state = "selling"


class TooLarge(bt.Strategy):
    """Orders beyond the cash, which come back as Margin."""

    def __init__(self) -> None:
        self.margins = 0

    def notify_order(self, order: Any) -> None:
        self.margins += order.status == order.Margin

    def next(self) -> None:
        if len(self) % 50 == 0:
            self.buy(size=10.0)
        elif len(self) % 50 == 10:
            self.buy(size=0.01)
        elif len(self) % 50 == 30:
            self.close()


class OnceInNextstart(bt.Strategy):
    """Buy and hold."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=30)

    def nextstart(self) -> None:
        self.order_target_percent(target=0.9)


class OnceInPrenext(bt.Strategy):
    """In before the indicators are ready, out when they are."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=30)
        self.is_in = False

    def prenext(self) -> None:
        if not self.is_in:
            self.is_in = bool(self.buy(size=0.05))

    def next(self) -> None:
        if self.position:
            self.close()


class OnceInStart(bt.Strategy):
    """An order before any bar: Backtrader never fills it."""

    def start(self) -> None:
        self.order = self.buy(size=0.05)

    def next(self) -> None:
        if len(self) == 10:
            self.buy(size=0.01)


class Timers(bt.Strategy):
    """In on Mondays, out on Thursdays, and `next_open`, which is for those who cheat only."""

    def __init__(self) -> None:
        self.add_timer(when=datetime.time(9, 0), weekdays=[1], buys=True)
        self.add_timer(when=datetime.time(9, 0), weekdays=[4], buys=False)
        self.opened = 0

    def next_open(self) -> None:
        self.opened += 1

    def notify_timer(self, timer: Any, when: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs["buys"]:
            self.order_target_percent(target=0.5)
        else:
            self.close()


class Statistics(bt.Strategy):
    """Looks at what the observers saw."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))
        self.seen: list[float] = []

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=0.05)
        elif self.cross < 0 and self.position:
            self.close()
        if len(self) > 30:
            self.seen.append(self.stats.broker.value[0])
            self.seen.append(self.stats.broker.cash[-1])


class Analysed(bt.Strategy):
    """Reads its own analyzers at the end."""

    def __init__(self) -> None:
        self._addanalyzer(bt.analyzers.TradeAnalyzer, _name="ta")
        self._addanalyzer(bt.analyzers.DrawDown, _name="dd")
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))
        self.seen: list[float] = []

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=0.05)
        elif self.cross < 0:
            self.close()

    def stop(self) -> None:
        trades = self.analyzers.ta.get_analysis()
        self.seen = [trades.total.closed, trades.won.total, self.analyzers.dd.get_analysis().max.drawdown]


class StopsItself(bt.Strategy):
    """Ends the run once it has earned or lost enough."""

    def next(self) -> None:
        if not self.position:
            self.buy(size=0.1)
        if len(self) == 700:
            self.env.runstop()


class Saving(bt.Strategy):
    """A rate paid in each month, and bought."""

    def __init__(self) -> None:
        self.add_timer(when=bt.timer.SESSION_START, monthdays=[1], monthcarry=True)

    def notify_timer(self, timer: Any, when: Any, *args: Any, **kwargs: Any) -> None:
        self.broker.add_cash(1000.0)
        self.order_target_value(target=self.broker.getvalue() + 500.0)


class OwnCommission(bt.Strategy):
    """Sets the commission that it reckons with."""

    def __init__(self) -> None:
        self.broker.setcommission(commission=0.002)
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=20))
        self.paid: list[float] = []

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.paid.append(trade.pnlcomm)

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=0.05)
        elif self.cross < 0:
            self.close()
