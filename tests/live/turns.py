"""A strategy that sends every kind of order, decided from the bar's own time alone, so that a restart goes on where it was."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class Turns(bt.Strategy):
    """Six turns on each symbol: in and partly out at the market, limits and stops on both sides that rest, then all of them taken back."""

    def next(self) -> None:
        for data in self.datas:
            if data.is_current and len(data):
                self.act(data, int(self.data.datetime.datetime(0).timestamp() // 3600) % 7)

    def act(self, data: Any, turn: int) -> None:
        close = data.close[0]
        size = round(400.0 / close, 5)
        held = self.broker.getposition(data).size
        part = round(held / 4, 5)
        if turn == 0:
            for order in self.broker.get_orders_open():
                self.cancel(order)
            self.buy(data=data, size=size)
        elif turn == 1:
            self.sell(data=data, size=part)
        elif turn == 2:
            self.buy(data=data, size=size / 2, exectype=bt.Order.Limit, price=close * 0.999)
        elif turn == 3:
            self.sell(data=data, size=part, exectype=bt.Order.Limit, price=close * 1.001)
        elif turn == 4:
            self.buy(data=data, size=size / 2, exectype=bt.Order.Stop, price=close * 1.001)
        elif turn == 5:
            self.sell(data=data, size=part, exectype=bt.Order.Stop, price=close * 0.999)
