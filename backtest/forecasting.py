"""Forecasts of a run: the walk-forward of the network and of the baselines, with the tables that reports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from forwardtrader.backtest.progress import Stage
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.signals import seen
from forwardtrader.core.errors import FeatureFailed, ForecasterFailed, TooLittleHistory, TradingError, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.features.panel import Panel, selected_beside
from forwardtrader.models.folds.baseline_walk import baseline_frames
from forwardtrader.models.folds.walk import WalkForward, walk_forward, walk_forward_over
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.online.online_walk_forward import online_walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.port.prototype import named_forecaster
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage
from forwardtrader.reports.artefacts import FORECAST_COLUMNS as REPORTED_COLUMNS


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all forecasters.

    Attributes:
        baselines: tables like `table`, without model ids, of the baselines and of the forecasters compared.
        compared: the names of the latter.
        left_out: why forecasters that were to be compared are not there, by name.
    """

    walk: WalkForward
    table: pd.DataFrame
    baselines: Mapping[str, pd.DataFrame]
    compared: tuple[str, ...] = field(default=(), kw_only=True)
    left_out: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        """What the indicator on `symbol` asks."""
        return WalkForwardSource(self.walk, symbol, horizon, timeframe)

    def seeds(self, horizon: int) -> dict[str, pd.DataFrame]:
        """Per symbol, the location that each seed alone would have forecast."""
        return {s: pd.DataFrame(self.walk.member_locations(s, horizon), index=self.walk.panel.index[s]) for s in self.walk.panel.symbols}


def train(markets: Mapping[str, History], request: BacktestRequest, stage: Stage, damaged: Damage = log_damage) -> WalkForward:
    """Every fold of the calendar, trained or taken from the registry, and what is learned from outcomes beside it.

    `damaged` is called for models of the registry that cannot be read; they are trained again. A strategy of the user's need not read
    forecasts: where the candles are too few to train for, it gets a walk-forward that refuses to forecast.

    Raises:
        TooLittleHistory: the candles are too few, and our own strategy is to trade.
    """
    settings, timeframe = request.settings, next(iter(markets.values())).timeframe
    try:
        walk = walk_forward(
            {symbol: seen(history) for symbol, history in markets.items()},
            request.first,
            request.last,
            settings=settings.models,
            timeframe=timeframe,
            progress=stage,
            damaged=damaged,
        )
    except TooLittleHistory as shortage:
        if not request.strategy:
            raise
        return untrained(markets, settings.models, shortage)
    return online_walk_forward(walk, request.first, request.last, learning=settings.learning, timeframe=timeframe, damaged=damaged)


def untrained(markets: Mapping[str, History], settings: ModelSettings, why: TradingError) -> WalkForward:
    """A walk-forward without models, which raises `why` where a forecast is asked for."""
    return WalkForward(Panel.of({symbol: seen(h) for symbol, h in markets.items()}, settings.horizons), settings, (), untrained=why)


def tables(walk: WalkForward, request: BacktestRequest, stage: Stage) -> Forecasts:
    """The forecast tables of the days traded, the baselines beside the network on its first horizon, the one it is scored by."""
    settings = request.settings.models
    if walk.untrained is not None:
        why = f"the strategy reads no forecasts, and {walk.untrained}"
        return Forecasts(walk, pd.DataFrame(columns=REPORTED_COLUMNS), {}, left_out={named_forecaster(settings): why})
    first = pd.Timestamp(request.first)
    table = pd.concat([_rows(walk.frame(s, h), s, h, first) for s in walk.panel.symbols for h in settings.horizons], ignore_index=True)
    registry, scored = ModelRegistry.of(settings), settings.horizons[0]
    fitted = baseline_frames(walk, settings.baselines, scored, registry, progress=stage)
    baselines = {
        name: pd.concat([_rows(frame, s, scored, first) for s, frame in frames.items()], ignore_index=True)
        for name, frames in fitted.items()
    }
    compared, left_out = _compared(walk, request, set(baselines), stage)
    return Forecasts(walk, table, baselines | compared, compared=tuple(compared), left_out=left_out)


def _compared(walk: WalkForward, request: BacktestRequest, taken: set[str], stage: Stage) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The tables of the forecasters compared, over the same folds, and the reasons why some have none."""
    settings, first = request.settings.models, pd.Timestamp(request.first)
    found: dict[str, pd.DataFrame] = {}
    failed: dict[str, str] = {}
    timeframe, horizon = Timeframe.parse(request.settings.feeds.timeframe), settings.horizons[0]
    factors = next(iter(walk.panel.bars.values())).factors
    for spec in settings.compared:
        own = settings.model_copy(update={"forecaster": spec, "params": {}})
        name = _free_name(named_forecaster(own), taken | set(found) | {named_forecaster(settings)})
        try:
            panel = walk.panel.with_features(selected_beside(factors, own, timeframe))
            panel.require_numbers()
            other = walk_forward_over(panel, request.first, request.last, settings=own, timeframe=timeframe, progress=stage)
        except (FeatureFailed, ForecasterFailed, TrainingDiverged) as error:
            failed[name] = str(error)
            continue
        found[name] = pd.concat([_rows(other.frame(s, horizon), s, horizon, first) for s in other.panel.symbols], ignore_index=True)
    return found, failed


def _free_name(name: str, taken: set[str]) -> str:
    number = 2
    while (free := name if number == 2 and name not in taken else f"{name} {number}") in taken:
        number += 1
    return free


def _rows(frame: pd.DataFrame, symbol: str, horizon: int, first: pd.Timestamp) -> pd.DataFrame:
    """The rows of the days traded in which a model served, as `forecasts.parquet` has them."""
    chosen = frame.loc[(frame.index >= first) & frame["location"].notna()]
    named = chosen.reset_index(names="timestamp")
    named.insert(1, "symbol", pd.Series([symbol] * len(named), dtype="str"))
    named.insert(2, "horizon", horizon)
    return named
