"""Messages about executed orders, of real orders of Backtrader."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd

from forwardtrader.live.monitoring.fill_alerts import FillAlerts
from forwardtrader.live.session.strategy_guard import BarHook


class Trades(bt.Strategy):
    def next(self) -> None:
        if len(self) == 2:
            self.buy(size=3)
        if len(self) == 5:
            self.sell(size=3, exectype=bt.Order.Stop, price=95.0)


def ran(now: list[float], filler: Any = None, step: float = 1.0) -> list[tuple[str, str, str]]:
    """What is sent while Trades runs over bars of which the eighth falls through the stop; `step` seconds a bar."""
    sent: list[tuple[str, str, str]] = []
    alerts = FillAlerts(lambda *alert: sent.append(alert), lambda: now[0])
    index = pd.date_range("2026-01-01", periods=12, freq="h")
    low = [99.0] * 7 + [80.0] * 5
    frame = pd.DataFrame({"open": 100.0, "high": 101.0, "low": low, "close": [min(100.0, x + 1) for x in low], "volume": 2.0}, index=index)

    def done(_strategy: bt.Strategy, _at: float) -> None:
        now[0] += step
        alerts.send_due()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame), name="BTC/USDT")
    cerebro.addstrategy(Trades)
    cerebro.addanalyzer(BarHook, done=done, changed=alerts.note)
    if filler is not None:
        cerebro.broker.set_filler(filler)
    cerebro.run()
    return sent


def test_an_entry_and_a_stop_are_a_message_each() -> None:
    assert ran([0.0]) == [
        ("order_filled", "info", "bought 3 BTC/USDT at 100"), ("stop_filled", "warning", "sold 3 BTC/USDT at 95 (the stop was reached)"),
    ]  # fmt: skip


def test_an_order_that_is_executed_in_parts_is_one_message() -> None:
    told = [text for kind, _, text in ran([0.0], bt.broker.fillers.FixedSize(size=1)) if kind == "order_filled"]
    assert told == ["bought 3 BTC/USDT at 100"]


def test_an_order_that_rests_on_for_long_is_told_of_once_before_it_is_over() -> None:
    told = [text for kind, _, text in ran([0.0], bt.broker.fillers.FixedSize(size=1), step=61.0) if kind == "order_filled"]
    assert told == ["bought 1 of 3 BTC/USDT at 100", "bought 3 BTC/USDT at 100"]
