"""Trade the forecasts of a run through Backtrader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.feeds.backtrader_data import as_backtrader_days, frame_data
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.strategies.backtrader.assembly import Feed, Record, build_cerebro, extra_bars, record_of
from forwardtrader.strategies.backtrader.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.replay_track import Tape
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.user_code.strategy_class import load_strategy


class Sources(Protocol):
    """Where the indicator on each symbol gets its forecasts: the walk-forward of a run, or what stands in for it."""

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        """What the indicator on `symbol` asks."""
        ...


def simulate(markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest) -> Record:
    """Fills and equity of the days traded, by our strategy or the one that was named.

    Raises:
        ConfigError: the named strategy cannot be loaded.
    """
    return _record(_run(markets, forecasts, request), request)


def simulate_with_orders(markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest) -> tuple[Record, pd.DataFrame]:
    """The same, and every order with its decision, as `OrderRecorder.frame` has it."""
    run = _run(markets, forecasts, request, [(OrderRecorder, {"_name": "orders"})])
    return _record(run, request), run.analyzers.orders.frame()


def is_replayable(request: BacktestRequest) -> bool:
    """Whether the fast replay trades as the run does: it knows our own strategy, and no limits of the account."""
    return not request.strategy and TradingGuard.of(request.settings.risk) is None


def tapes_of(markets: Mapping[str, History], walk: WalkForward, horizon: int, first: datetime) -> list[Tape]:
    """The days traded and the forecasts of them, for the fast replay of our own strategy."""
    tapes = []
    for symbol, history in markets.items():
        bars = history.candles.loc[history.candles.index >= pd.Timestamp(first)]
        predicted = walk.frame(symbol, horizon)[["location", "scale"]].reindex(bars.index)
        tapes.append(Tape(bars=bars, forecasts=predicted, market=history.rules, timeframe=history.timeframe, horizon=horizon))
    return tapes


def _run(
    markets: Mapping[str, History], forecasts: Sources, request: BacktestRequest, analyzers: Sequence[tuple[Any, Mapping[str, Any]]] = ()
) -> Any:
    settings = request.settings.strategies
    strategy = load_strategy(request.strategy) if request.strategy else LSTMStrategy
    feeds, end = [], max(history.candles.index[-1] for history in markets.values())
    for symbol, history in markets.items():
        source = forecasts.source(symbol, settings.horizon, history.timeframe)
        data = frame_data(_warmed(history.candles, request, source.warm_up), history.timeframe, name=symbol)
        feeds.append(Feed(data=data, rules=history.rules, timeframe=history.timeframe, source=source, last_bar=_last_bar(history, end)))
    cerebro = build_cerebro(
        feeds, settings, resample=request.settings.feeds.resample, strategy=strategy, trade_from=request.first, analyzers=analyzers,
        guard=TradingGuard.of(request.settings.risk),
    )  # fmt: skip
    with owned_errors(strategy.__name__):
        runs = cerebro.run()
    if not runs:
        raise StrategyFailed(f"{strategy.__name__} took no part in the run: it raised StrategySkipError")
    return runs[0]


def _last_bar(history: History, end: pd.Timestamp) -> float:
    """The last bar of a symbol that ends before the run does, as Backtrader counts time; else 0."""
    last = history.candles.index[-1]
    return float(as_backtrader_days(pd.DatetimeIndex([last]))[0]) if last < end else 0.0


def _record(run: Any, request: BacktestRequest) -> Record:
    record = record_of(run)
    return replace(record, equity=record.equity.loc[record.equity.index >= pd.Timestamp(request.first)])


def _warmed(candles: pd.DataFrame, request: BacktestRequest, warm_up: int) -> pd.DataFrame:
    first = int(candles.index.searchsorted(pd.Timestamp(request.first)))
    feeds = request.settings.feeds
    return candles.iloc[max(first - warm_up - extra_bars(Timeframe.parse(feeds.timeframe), feeds.resample), 0) :]
