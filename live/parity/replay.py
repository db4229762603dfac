"""A recorded session once more, through the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.live.control import Verb
from forwardtrader.live.parity.record import Recorded
from forwardtrader.live.session.bar_hook import BarHook
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, load_strategy, record_of, venue_broker
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

EXTRA_BARS: Final = 256


def replay(session: Recorded, sources: Mapping[str, ForecastSource] | None = None) -> dict[str, pd.DataFrame]:
    """The same bars through the backtest: the walk-forward of its own, and the same assembly."""
    settings, first, whole = session.settings, session.first_live, session.whole
    sources = sources or _walked(session)
    feeds = []
    for symbol, frame in whole.items():
        begin = int(frame.index.searchsorted(pd.Timestamp(first)))
        data = frame_data(frame.iloc[max(0, begin - sources[symbol].warm_up - EXTRA_BARS) :], session.timeframe, name=symbol)
        feeds.append(Feed(data=data, rules=session.rules(symbol), timeframe=session.timeframe, source=sources[symbol]))
    commands = _Commands(session.commands)
    broker = venue_broker([f.rules for f in feeds], settings.strategies, trade_from=first.timestamp(), kind=PaperBroker)
    broker.doubt_about = lambda symbol, at: session.doubts.get((at, symbol), "")
    cerebro = build_cerebro(
        feeds, settings.strategies, strategy=load_strategy(session.strategy) if session.strategy else LSTMStrategy, trade_from=first,
        broker=broker if session.commands or session.doubts else None,
        analyzers=[(OrderRecorder, {"_name": "orders"}), (BarHook, {"done": commands.bar_done, "_name": "commands"})],
    )  # fmt: skip
    [run] = cerebro.run()
    record, since = record_of(run), pd.Timestamp(first)
    orders = run.analyzers.orders.frame()
    told = [
        sources[s].batch(frame).loc[since:].reset_index(names="timestamp").assign(symbol=s, horizon=sources[s].horizon)
        for s, frame in whole.items()
    ]
    forecasts = pd.concat(told, ignore_index=True)
    return {
        "forecasts": forecasts[forecasts["model_id"].astype(str) != ""].sort_values(["timestamp", "symbol"], ignore_index=True),
        "orders": orders[orders["timestamp"] >= since].reset_index(drop=True),
        "fills": record.fills[record.fills["timestamp"] >= since].reset_index(drop=True),
        "equity": record.equity[record.equity.index >= since].reset_index(names="timestamp"),
    }


def _walked(session: Recorded) -> dict[str, ForecastSource]:
    last = max(frame.index[-1] for frame in session.candles.values()).to_pydatetime() + session.timeframe.delta
    book = FactorBook(session.settings.feeds.factors, session.timeframe)
    candles = {symbol: book.beside(frame) for symbol, frame in session.whole.items()}
    settings = session.settings
    walk = walk_forward(candles, session.first_live, last, settings=settings.models, timeframe=session.timeframe)
    walk = online_walk_forward(
        walk, session.first_live, last, learning=settings.learning, timeframe=session.timeframe, commands=session.orders
    )
    return {s: WalkForwardSource(walk, s, session.settings.strategies.horizon, session.timeframe) for s in session.whole}


class _Commands:
    """What a person told the session takes effect after the same bars again."""

    def __init__(self, commands: list[tuple[int, str]]) -> None:
        self._by_bar: dict[int, list[Verb]] = {}
        for bar, name in commands:
            self._by_bar.setdefault(bar, []).append(Verb(name))

    def bar_done(self, strategy: Any, number: float) -> None:
        for verb in self._by_bar.pop(round(epoch_seconds(number) * 1000), []):
            self._apply(strategy, strategy.broker, verb)

    @staticmethod
    def _apply(strategy: Any, broker: Any, verb: Verb) -> None:
        if verb in (Verb.PAUSE, Verb.FLATTEN):
            broker.muted = True
        if verb is Verb.RESUME:
            broker.muted = False
        if verb in (Verb.FLATTEN, Verb.CANCEL, Verb.KILL):
            for order in list(broker.get_orders_open()):
                broker.cancel(order)
        for data in strategy.datas if verb is Verb.FLATTEN else ():
            if (size := broker.getposition(data).size) > 0:
                broker.sell(strategy, data, size, reason="flatten", role="flatten")
