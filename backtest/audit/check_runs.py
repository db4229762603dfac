"""Runs of one strategy on candles of its own, as `check_strategy` compares them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.backtest.audit.outcome import elsewhere
from forwardtrader.backtest.audit.strategy_proofs import UNCHANGED, mirrored
from forwardtrader.core import log
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.core.user_code.errors import described, owned_errors
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.feeds.candles import schema
from forwardtrader.models.forecaster import ForecastSource, RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import Feed, Record, build_cerebro, record_of
from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.hosting import restoring, takes_part
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder


@dataclass(frozen=True)
class CheckRun:
    """What the strategy did in one run.

    `closed` counts its trades from flat to flat. `idle` has the cash at the close of each bar (UTC open time) at which nothing was held and
    no order was alive; `state` is what the strategy would have a session keep at the end, None where it has no `state()`.
    """

    record: Record
    orders: pd.DataFrame
    closed: int
    idle: Mapping[pd.Timestamp, float]
    state: Mapping[str, object] | None = None


@dataclass(frozen=True)
class MadeForecasts:
    """Forecasts of a market that were made before: `FORECAST_COLUMNS` by the open time of each of its bars."""

    frame: pd.DataFrame
    horizon: int
    warm_up: int

    def source(self, candles: pd.DataFrame, timeframe: Timeframe) -> ForecastSource:
        """Shows those of these bars."""
        own = self.frame.loc[: candles.index[-1]]
        return RecordedForecasts(own, self.horizon, warm_up=self.warm_up, timeframe_s=timeframe.seconds)


@dataclass(frozen=True)
class CheckMarket:
    """The candles of one symbol, what its venue accepts, and its forecasts where the strategy reads any."""

    candles: pd.DataFrame
    rules: MarketRules
    forecasts: MadeForecasts | None = None

    def up_to(self, bar: pd.Timestamp) -> CheckMarket:
        return replace(self, candles=self.candles.loc[:bar])

    def feed(self, timeframe: Timeframe) -> Feed:
        source = None if self.forecasts is None else self.forecasts.source(self.candles, timeframe)
        return Feed(data=frame_data(self.candles, timeframe, name=self.rules.symbol), rules=self.rules, timeframe=timeframe, source=source)


@dataclass(frozen=True, kw_only=True)
class CheckBench:
    """A strategy with its parameters, and the markets to run it on, all of one timeframe."""

    strategy: type[bt.Strategy]
    markets: tuple[CheckMarket, ...]
    timeframe: Timeframe
    settings: StrategySettings
    params: Mapping[str, Any] = field(default_factory=dict)
    resample: tuple[str, ...] = ()

    @property
    def index(self) -> pd.DatetimeIndex:
        """The open times of all bars."""
        times = [schema.times_of(market.candles) for market in self.markets]
        return pd.DatetimeIndex(times[0].append(times[1:]).unique().sort_values())

    def run(self, **how: Any) -> CheckRun:
        """Run the strategy; `how` is further arguments of `build_cerebro`.

        Raises:
            StrategyFailed: it raised something.
        """
        feeds = [market.feed(self.timeframe) for market in self.markets]
        watched = [(OrderRecorder, {"_name": "orders"}), (_Watch, {"_name": "watch"})]
        cerebro = build_cerebro(
            feeds, self.settings, resample=self.resample, strategy=self.strategy, strategy_params=self.params, analyzers=watched, **how
        )
        with _quiet(), owned_errors(self.strategy.__name__):
            runs = cerebro.run()
            if not runs:
                raise StrategyFailed(f"{self.strategy.__name__} took no part in the run: it raised StrategySkipError")
            state = json.loads(json.dumps(runs[0].state(), allow_nan=False)) if takes_part(self.strategy) else None
        watch = runs[0].analyzers.watch
        return CheckRun(record_of(runs[0]), runs[0].analyzers.orders.frame(), watch.closed, watch.idle(), state)

    def changed_after(self, bar: pd.Timestamp, factor: float) -> CheckRun:
        """The run up to the bar after `bar`, which closes `factor` times as high; as it was with a factor of one."""
        index = self.index
        newest = index[min(int(index.searchsorted(bar, side="right")), len(index) - 1)]
        return replace(self, markets=tuple(_ending(market.up_to(newest), newest, factor) for market in self.markets)).run()

    def started_again(self, bar: pd.Timestamp, cash: float) -> CheckRun:
        """What a session with real orders does that stopped after `bar`: the past is shown once more, and its orders are refused."""
        before = replace(self, markets=tuple(market.up_to(bar) for market in self.markets))
        state = before.run().state if takes_part(self.strategy) else None
        index = self.index
        after = index[index > bar][0]
        resumed = restoring(self.strategy, state or {}, after.timestamp(), _failed)
        bench = replace(self, strategy=resumed, settings=self.settings.model_copy(update={"cash": cash}))
        return bench.run(trade_from=after.to_pydatetime(), begins=index[0].to_pydatetime())


def _ending(market: CheckMarket, newest: pd.Timestamp, factor: float) -> CheckMarket:
    """A market whose bar of that time closes `factor` times as high, with another forecast; as it is where it has none then."""
    if factor == UNCHANGED or not len(market.candles) or market.candles.index[-1] != newest:
        return market
    made = market.forecasts and replace(market.forecasts, frame=mirrored(market.forecasts.frame.loc[:newest]))
    return replace(market, candles=elsewhere(market.candles, factor), forecasts=made)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave refused orders out of the log: a report counts them once, and a restart refuses what was traded before it."""
    logger = log.logger("strategies")

    def no_refusal(record: logging.LogRecord) -> bool:
        return record.getMessage() != "order refused"

    logger.addFilter(no_refusal)
    try:
        yield
    finally:
        logger.removeFilter(no_refusal)


def _failed(place: str, error: Exception) -> None:
    raise StrategyFailed(f"{place}: {described(error)}") from error


class _Watch(bt.Analyzer):
    """Counts closed trades, and notes the bars after which a strategy could be stopped without leaving anything behind."""

    def start(self) -> None:
        self.closed = 0
        self._idle: list[tuple[float, float]] = []

    def notify_trade(self, trade: bt.Trade) -> None:
        self.closed += bool(trade.isclosed)

    def next(self) -> None:
        broker, strategy = self.strategy.broker, self.strategy
        holds = any(broker.getposition(data).size for data in strategy.datas)
        if not (holds or broker.pending or broker.submitted or broker.notifs):
            self._idle.append((strategy.data.datetime[0], broker.getcash()))

    def idle(self) -> dict[pd.Timestamp, float]:
        """The cash at the close of each of those bars."""
        times = utc_index(np.array([at for at, _ in self._idle], dtype=np.float64))
        return dict(zip(times, (cash for _, cash in self._idle), strict=True))
