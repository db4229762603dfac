"""The collection: every case that must come out as it does on Backtrader."""

from __future__ import annotations

from functools import partial
from typing import Final

import backtrader as bt
from backtrader.strategies import SMA_CrossOver

from benchmarks.strategies.community import lifecycle, orders, portfolio, signals, trends
from benchmarks.strategies.compared import Case

# Why a session with real orders need not equal its replay.
_AT_ONCE: Final = "real orders: the venue has exits from their entry on, Backtrader from the next bar on"
_NO_LIST: Final = "real orders: no venue has lists of three buys; a bar that reaches several executes them before the others are taken back"
_REFUSED: Final = "real orders: the venue, or a limit of the session, refuses at once what the replay ends with Margin a bar later"


def _signals(cerebro: bt.Cerebro) -> None:
    cerebro.addsizer(bt.sizers.FixedSize, stake=0.05)


def _analysed(cerebro: bt.Cerebro) -> None:
    cerebro.addobserver(bt.observers.DrawDown)
    cerebro.addanalyzer(bt.analyzers.SharpeRatio, timeframe=bt.TimeFrame.Days)
    cerebro.addanalyzer(bt.analyzers.TimeReturn)


def _trade_history(cerebro: bt.Cerebro) -> None:
    cerebro.p.tradehistory = True


COLLECTION: Final = (
    Case("crossover, one order at a time", trends.Crossover),
    Case("crossover, other parameters", trends.Crossover, params={"period": 40, "stake": 0.02}),
    Case("Backtrader's SMA_CrossOver", SMA_CrossOver, unsized=True),
    Case("RSI", trends.RelativeStrength, unsized=True),
    Case("Bollinger bands, limit entries", trends.Bands),
    Case("MACD with an ATR stop", trends.MacdWithStop, unsized=True),
    Case("Donchian, long and short", trends.Donchian),
    Case("Turtle", trends.Turtle),
    Case("pyramid of stop entries", trends.Pyramid),
    Case("signal, long", signals.LongSignal, unsized=True),
    Case("signal, accumulating", signals.Accumulating),
    Case("signal, long and short, own next", signals.LongShort),
    Case(
        "signals added to cerebro",
        None,
        prepare=_signals,
        params={
            "signals": ((bt.SIGNAL_LONG, signals.CloseAboveAverage, (), {}), (bt.SIGNAL_LONGEXIT, signals.CloseBelowShortAverage, (), {}))
        },
    ),
    Case("bracket", orders.Bracket),
    Case("bracket without sizes", orders.UnsizedBracket, unsized=True, in_session=_AT_ONCE),
    Case(
        "bracket by hand, without sizes",
        orders.HandMadeBracket,
        prepare=partial(bt.Cerebro.addsizer, sizercls=bt.sizers.FixedSize, stake=0.05),
        in_session=_AT_ONCE,
    ),
    Case("bracket around a short", orders.ShortBracket),
    Case("OCO of three entries, with valid=", orders.OneCancelsOthers, in_session=_NO_LIST),
    Case("OCO of stop and limit", orders.ExitsByOco),
    Case("trailing stop", orders.Trailing),
    Case("trailing stop limit", orders.TrailingLimit),
    Case("stop limit entry that expires", orders.StopLimitEntry),
    Case("market on close", orders.MarketOnClose, in_session="real orders: refused, since the venue does not know the end of the day"),
    Case("ladder of limits", orders.LimitChain),
    Case("cancel and replace", orders.CancelAndReplace),
    Case("hold five bars after Completed", lifecycle.HoldFiveBars),
    Case("wait until Completed", lifecycle.WaitUntilCompleted),
    Case("orders beyond the cash", lifecycle.TooLarge, in_session=_REFUSED),
    Case("buy once in nextstart", lifecycle.OnceInNextstart),
    Case("buy once in prenext", lifecycle.OnceInPrenext),
    Case(
        "buy once in start",
        lifecycle.OnceInStart,
        difference="refused, with its reason: no bar was there; Backtrader accepts the order and never fills it",
    ),
    Case("timers and next_open", lifecycle.Timers),
    Case("self.stats", lifecycle.Statistics, prepare=_analysed),
    Case("own analyzers", lifecycle.Analysed),
    Case("env.runstop", lifecycle.StopsItself),
    Case("add_cash every month", lifecycle.Saving),
    Case("setcommission", lifecycle.OwnCommission, in_session="real orders: the venue takes its own fee"),
    Case("setsizer in __init__", portfolio.OwnSizer),
    Case("cerebro.addsizer", portfolio.Unsized, prepare=partial(bt.Cerebro.addsizer, sizercls=bt.sizers.FixedSize, stake=0.02)),
    Case("order_target_percent", portfolio.TargetPercent),
    Case("order_target_value", portfolio.TargetValue),
    Case("two feeds, getdatabyname", portfolio.Pair, symbols=2, in_session=_REFUSED),
    Case("rotation of two symbols", portfolio.Rotation, symbols=2, in_session=_REFUSED),
    Case("trade ids and trade history", portfolio.TwoTrades, prepare=_trade_history),
)
