"""The replay of a recorded session through the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import backtrader as bt
import pandas as pd

from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.live.parity.record import Recorded
from forwardtrader.live.retraining.stock import NoForecasts
from forwardtrader.live.session.commands import CommandHistory, carry_out
from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.live.session.strategy_guard import BarHook
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.signal_bars import SignalBars, SignalSource
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, extra_bars, record_of, venue_broker
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.user_code.strategy_class import load_strategy


def replay(session: Recorded, sources: Mapping[str, ForecastSource] | None = None) -> dict[str, pd.DataFrame]:
    """Run the session's bars through the backtest, with the same assembly; returns forecasts, orders, fills, equity and stops.

    Args:
        sources: where the session's forecasts came from; None for a walk-forward with its settings.
    """
    first, sources = session.first_live, _sources(session, sources)
    feeds, commands = _feeds(session, sources), CommandHistory(session.commands)
    broker = venue_broker([f.rules for f in feeds], session.settings.strategies, trade_from=first.timestamp(), kind=PaperBroker)
    assert isinstance(broker, PaperBroker)
    broker.entry_objection = lambda symbol, at: session.blocked.get((at, symbol), "")
    broker.passed = session.passed
    cerebro = build_cerebro(
        feeds, session.settings.strategies, strategy=load_strategy(session.strategy) if session.strategy else LSTMStrategy,
        resample=session.settings.feeds.resample, trade_from=first, passed=session.undecided,
        broker=broker if session.commands or session.blocked else None,
        guard=TradingGuard.of(session.settings.risk), learning=session.settings.learning,
        analyzers=[(OrderRecorder, {"_name": "orders"}), (BarHook, {"done": partial(_bar_done, commands), "_name": "commands"})],
    )  # fmt: skip
    [run] = cerebro.run()
    record, since = record_of(run), pd.Timestamp(first)
    orders = run.analyzers.orders.frame()
    return {
        "forecasts": _forecasts(session, sources),
        "orders": orders[orders["timestamp"] >= since].reset_index(drop=True),
        "fills": record.fills[record.fills["timestamp"] >= since].reset_index(drop=True),
        "equity": record.equity[record.equity.index >= since].reset_index(names="timestamp"),
        "stops": record.stops,
    }


def _sources(session: Recorded, given: Mapping[str, ForecastSource] | None) -> Mapping[str, ForecastSource]:
    if not session.forecasts:
        return dict.fromkeys(session.whole, NoForecasts(session.settings.strategies.horizon))
    return given or _walked(session)


def _feeds(session: Recorded, sources: Mapping[str, ForecastSource]) -> list[Feed]:
    feeds, extra = [], extra_bars(session.timeframe, session.settings.feeds.resample)
    for symbol, frame in session.whole.items():
        begin = int(frame.index.searchsorted(pd.Timestamp(session.first_live)))
        data = frame_data(frame.iloc[max(0, begin - sources[symbol].warm_up - extra) :], session.timeframe, name=symbol)
        source = sources[symbol] if session.forecasts else None
        rules, facts = session.rules(symbol), session.perpetual(symbol)
        feeds.append(Feed(data=data, rules=rules, timeframe=session.timeframe, source=source, facts=facts))
    return feeds


def _forecasts(session: Recorded, sources: Mapping[str, ForecastSource]) -> pd.DataFrame:
    if not session.forecasts:
        return session.tables["forecasts"]
    since = pd.Timestamp(session.first_live)
    made = [
        sources[s].batch(frame).loc[since:].reset_index(names="timestamp").assign(symbol=s, horizon=sources[s].horizon)
        for s, frame in session.whole.items()
    ]
    forecasts = pd.concat(made, ignore_index=True)
    return forecasts[forecasts["model_id"].astype(str) != ""].sort_values(["timestamp", "symbol"], ignore_index=True)


def _walked(session: Recorded) -> dict[str, ForecastSource]:
    last = max(frame.index[-1] for frame in session.candles.values()).to_pydatetime() + session.timeframe.delta
    book = FactorBook(session.settings.feeds.located_factors, session.timeframe)
    books = {symbol: session.signals.get(symbol, SignalBars()) for symbol in session.whole}
    candles = {symbol: book.beside(books[symbol].seen(frame)) for symbol, frame in session.whole.items()}
    settings = session.settings
    walk = walk_forward(candles, session.first_live, last, settings=settings.models, timeframe=session.timeframe)
    walk = online_walk_forward(
        walk, session.first_live, last, learning=settings.learning, timeframe=session.timeframe, commands=session.orders
    )
    made = {s: WalkForwardSource(walk, s, session.settings.strategies.horizon, session.timeframe) for s in session.whole}
    return {s: SignalSource(source, s, books) if any(map(len, books.values())) else source for s, source in made.items()}


def _bar_done(commands: CommandHistory, strategy: bt.Strategy, number: float) -> None:
    for command in commands.take(round(epoch_seconds(number) * 1000)):
        carry_out(command, strategy.broker, strategy)
