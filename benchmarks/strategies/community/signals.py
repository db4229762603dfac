"""Strategies of signals."""

from __future__ import annotations

import backtrader as bt


class LongSignal(bt.SignalStrategy):
    """The example on Backtrader's front page."""

    def __init__(self) -> None:
        sma1, sma2 = bt.ind.SMA(period=10), bt.ind.SMA(period=30)
        self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(sma1, sma2))


class Accumulating(bt.SignalStrategy):
    """Buys again with every bar that signals."""

    params = (("_accumulate", True),)

    def __init__(self) -> None:
        self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(bt.ind.EMA(period=8), bt.ind.EMA(period=21)))
        self.setsizer(bt.sizers.FixedSize(stake=0.03))


class LongShort(bt.SignalStrategy):
    """Always in the market, with a `next` of its own beside the signals."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []
        self.signal_add(bt.SIGNAL_LONGSHORT, bt.ind.ROC(period=24))
        self.setsizer(bt.sizers.FixedSize(stake=0.05))

    def next(self) -> None:
        self.seen.append((len(self), self.position.size))


class CloseAboveAverage(bt.Indicator):
    """A signal of one's own."""

    lines = ("signal",)
    params = (("period", 30),)

    def __init__(self) -> None:
        self.l.signal = self.data - bt.indicators.SMA(period=self.p.period)


class CloseBelowShortAverage(CloseAboveAverage):
    """The signal to leave."""

    params = (("period", 5),)
