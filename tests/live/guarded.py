"""A strategy with a position, a stop that the market never reaches, and trades beside them, so that a restart goes on where it was."""

from __future__ import annotations

import backtrader as bt

STOP_AT = 0.5  # of the price


class Guarded(bt.Strategy):
    """Buys, guards half of that with a stop, and then buys and sells a little, bar by bar in turn."""

    def next(self) -> None:
        data = self.data
        if not data.is_current:
            return
        minute, close = int(data.datetime.datetime(0).timestamp() // 60), data.close[0]
        held, resting = self.broker.getposition(data).size, self.broker.get_orders_open()
        if not held and not resting:
            self.buy(size=round(400.0 / close, 5))
        elif not any(order.exectype == bt.Order.Stop for order in resting):
            self.sell(size=round(held / 2, 5), exectype=bt.Order.Stop, price=round(close * STOP_AT, 2))
        elif minute % 2:
            self.buy(size=round(50.0 / close, 5))
        else:
            self.sell(size=round(50.0 / close, 5))
