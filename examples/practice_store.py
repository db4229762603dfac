"""A plain Backtrader script that sends real orders, to the practice exchange on this machine; needs no network and no keys.

    python examples/practice_store.py

For a real venue leave `start_sandbox` out and give `CCXTStore` your keys.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from forwardtrader import CCXTStore
from forwardtrader.sandbox.process import start_sandbox

BARS = 30


class Crossing(bt.Strategy):
    """Holds while the fast mean of the one-minute closes is above the slow one, and the five-minute bar rose."""

    def __init__(self) -> None:
        self.cross = bt.indicators.SMA(period=3) - bt.indicators.SMA(period=8)
        self.live_bars = 0

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            side = "bought" if order.isbuy() else "sold"
            print(f"{side} {abs(order.executed.size):.5f} at {order.executed.price:.2f}")

    def next(self) -> None:
        if not self.data.is_current:
            return  # a bar of the history: no order is taken
        self.live_bars += 1
        if self.live_bars >= BARS:
            self.data.store.request_stop()
        elif self.cross[0] > 0 and self.data1.close[0] > self.data1.open[0] and not self.position:
            self.buy(size=0.01)
        elif self.cross[0] < 0 and self.position:
            self.close()


def main() -> None:
    """Trade for half an hour of the market's time, which is a few seconds of yours."""
    with start_sandbox(speed=600.0, history=120) as venue:
        store = CCXTStore(
            venue.protocol, api_key=venue.api_key, api_secret=venue.api_secret, base_url=venue.url, ws_url=venue.ws_url, clock=venue
        )
        cerebro = bt.Cerebro(quicknotify=True)
        minutes = cerebro.adddata(store.getdata(dataname="BTC/USDT", history=60), name="BTC/USDT")
        cerebro.resampledata(minutes, timeframe=bt.TimeFrame.Minutes, compression=5)
        cerebro.setbroker(store.getbroker())
        cerebro.addstore(store)
        cerebro.addstrategy(Crossing)
        cerebro.run()
        print(f"the account is worth {cerebro.broker.getvalue():,.2f} USDT")


if __name__ == "__main__":
    main()
