"""Forecasts of a run: the walk-forward of the network and of the baselines, with the tables that reports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from forwardtrader.backtest.progress import Stage
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.folds.baseline_walk import baseline_frames
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all forecasters. `baselines` holds tables like `table`, without model ids."""

    walk: WalkForward
    table: pd.DataFrame
    baselines: Mapping[str, pd.DataFrame]

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        """What the indicator on `symbol` asks."""
        return WalkForwardSource(self.walk, symbol, horizon, timeframe)

    def seeds(self, horizon: int) -> dict[str, pd.DataFrame]:
        """Per symbol, the location that each seed alone would have forecast."""
        return {s: pd.DataFrame(self.walk.member_locations(s, horizon), index=self.walk.panel.index[s]) for s in self.walk.panel.symbols}


def train(markets: Mapping[str, History], request: BacktestRequest, stage: Stage, damaged: Damage = log_damage) -> WalkForward:
    """Every fold of the calendar, trained or taken from the registry, and what is learned from outcomes beside it.

    `damaged` is called for models of the registry that cannot be read; they are trained again.
    """
    settings, timeframe = request.settings, next(iter(markets.values())).timeframe
    walk = walk_forward(
        {symbol: history.candles for symbol, history in markets.items()},
        request.first,
        request.last,
        settings=settings.models,
        timeframe=timeframe,
        progress=stage,
        damaged=damaged,
    )
    return online_walk_forward(walk, request.first, request.last, learning=settings.learning, timeframe=timeframe, damaged=damaged)


def tables(walk: WalkForward, request: BacktestRequest, stage: Stage) -> Forecasts:
    """The forecast tables of the days traded, the baselines beside the network on its first horizon, the one it is scored by."""
    settings = request.settings.models
    first = pd.Timestamp(request.first)
    table = pd.concat([_rows(walk.frame(s, h), s, h, first) for s in walk.panel.symbols for h in settings.horizons], ignore_index=True)
    registry, scored = ModelRegistry.of(settings), settings.horizons[0]
    fitted = baseline_frames(walk, settings.baselines, scored, registry, progress=stage)
    baselines = {
        name: pd.concat([_rows(frame, s, scored, first) for s, frame in frames.items()], ignore_index=True)
        for name, frames in fitted.items()
    }
    return Forecasts(walk, table, baselines)


def _rows(frame: pd.DataFrame, symbol: str, horizon: int, first: pd.Timestamp) -> pd.DataFrame:
    """The rows of the days traded in which a model served, as `forecasts.parquet` has them."""
    chosen = frame.loc[(frame.index >= first) & frame["location"].notna()]
    named = chosen.reset_index(names="timestamp")
    named.insert(1, "symbol", pd.Series([symbol] * len(named), dtype="str"))
    named.insert(2, "horizon", horizon)
    return named
