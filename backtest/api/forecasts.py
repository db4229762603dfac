"""Walk-forward forecasts as an object: fitted on candles, scored, and read by indicators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import pandas as pd

from forwardtrader.backtest.api.candles import Candles, Moment, histories, moment
from forwardtrader.backtest.forecasting import Forecasts, tables, train
from forwardtrader.backtest.importance.measurement import DRAWS, importance_of
from forwardtrader.backtest.job import scored
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.config import changed
from forwardtrader.core.errors import InvalidSetting, NotTrained
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import Timeframe
from forwardtrader.core.user_code.declared import spec_of
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.features.catalogue import FEATURES, warm_up
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.forecasters.keras_networks.lstm_forecaster import LSTMForecaster
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.prototype import LSTM, prototype
from forwardtrader.models.walk_forward import lead_bars
from forwardtrader.reports.sections.importance import Contribution


@dataclass(frozen=True)
class FittedWalk:
    """What a walk-forward was fitted on, and what it forecast."""

    request: BacktestRequest
    markets: dict[str, History]
    forecasts: Forecasts


class WalkForward:
    """A forecaster trained anew at each boundary on the past alone; every forecast is one that was possible at its bar.

        wf = ft.WalkForward(ft.SklearnForecaster(Ridge()), train_window="365d", retrain_every="28d")
        forecasts = wf.fit_predict(candles, start="2022-01-01")
        wf.score()

    Args:
        forecaster: an object, a class, the name of one that comes along, or `MODULE:CLASS`.
        train_window: history that each model learns from.
        retrain_every: time between boundaries, which stand at fixed distances from 2000-01-01.
        horizons: bars ahead that are forecast.
        seed: of all randomness.
        settings: any other setting of the room `models`, by name (`embargo=24`, `save_path="models"`).

    Raises:
        ConfigError: there is no such forecaster, parameter or setting, or a value is out of its range.
    """

    def __init__(
        self, forecaster: BaseForecaster | type[BaseForecaster] | str = LSTM, *, train_window: str | timedelta = "730d",
        retrain_every: str | timedelta = "28d", horizons: tuple[int, ...] = (1, 4), seed: int = 0, **settings: Any,
    ) -> None:  # fmt: skip
        # The settings of a run are the parameters of the LSTM, which is then trained by the run's own path.
        lstm = forecaster.chosen if isinstance(forecaster, LSTMForecaster) else {}
        named = LSTM if lstm else forecaster if isinstance(forecaster, str) else spec_of(forecaster)
        own = lstm | {"forecaster": named, "train_window": train_window, "retrain_every": retrain_every, "horizons": horizons, "seed": seed}
        traded = {} if Settings().strategies.horizon in horizons else {"strategies.horizon": horizons[0]}
        self.settings = changed(Settings(), traded | {f"models.{name}": value for name, value in (own | settings).items()})
        prototype(self.settings.models)
        self._fitted: FittedWalk | None = None

    @property
    def fitted(self) -> FittedWalk:
        """What it was fitted on. Raises NotTrained before `fit_predict`."""
        if self._fitted is None:
            raise NotTrained("call fit_predict(candles) first")
        return self._fitted

    def fit_predict(self, candles: Candles, start: Moment | None = None, end: Moment | None = None) -> pd.DataFrame:
        """Train every model of the calendar, and forecast each bar that opens in [start, end) by the one in force at it.

        Args:
            start: the first day that candles before it fill a training window for, where None.
            end: all candles, where None.

        Returns:
            One row a bar, symbol and horizon: timestamp (bar open, UTC), symbol, horizon, location, scale, q05, q25, q50, q75, q95, p_up
            (plain log returns over the horizon), model_id, realised.

        Raises:
            TooLittleHistory: the candles before `start` do not fill one window; the message says which day would do.
            ForecasterFailed, TrainingDiverged: the forecaster failed in a fold, which is named.
        """
        self.fit(candles, start, end)
        return self.fitted.forecasts.table.copy()

    def fit(self, candles: Candles, start: Moment | None = None, end: Moment | None = None) -> Self:
        """As `fit_predict`; returns itself."""
        markets = histories(candles)
        first = self._first(markets) if start is None else moment(start)
        last = end_of(markets) if end is None else moment(end)
        request = request_for(self.settings, markets, first, last)
        self._fitted = None
        walk = train(markets, request, unheard)
        plain = changed(request.settings, {"models.baselines": ["none"]})
        forecasts = tables(walk, BacktestRequest(settings=plain, first=first, last=last, quiet=True), unheard)
        self._fitted = FittedWalk(request, markets, forecasts)
        return self

    def score(self, baselines: str | tuple[str, ...] = "all") -> pd.DataFrame:
        """Scores out of sample at the first horizon, beside baselines fitted to the same folds.

        Returns:
            One row a symbol and forecaster: n, ic, rank_ic, accuracy, accuracy_top10, loss_skill (share of the zero forecast's loss that is
            saved), coverage_90, and `dm_p`, the p-value of the Diebold-Mariano test of this forecaster's loss against the first one's.
        """
        fitted = self.fitted
        wanted = [baselines] if isinstance(baselines, str) else list(baselines)
        request = request_for(
            changed(self.settings, {"models.baselines": wanted}), fitted.markets, fitted.request.first, fitted.request.last
        )
        part = scored(request, fitted.markets, tables(fitted.forecasts.walk, request, unheard)).part
        rows = []
        for symbol, board in part.items():
            for name, scores in {board["name"]: board["lstm"], **board["baselines"]}.items():
                test = board["diebold_mariano"].get(name)
                plain = {key: value for key, value in scores.items() if not key.endswith("_ci")}
                rows.append({"symbol": symbol, "forecaster": name, **plain, "dm_p": None if test is None else test["p"]})
        return pd.DataFrame(rows).set_index(["symbol", "forecaster"])

    def importance(self, *, refit: bool = False, draws: int = DRAWS) -> pd.DataFrame:
        """What each feature, and each group of features of one kind, adds to the forecasts out of sample at the first horizon.

        What it tells beyond the others is exchanged for that of another time. Everything is above zero where
        it helps; intervals and p-values are corrected for all rows of their `kind`, so a useless one is above zero by chance in one table
        of forty.

        Args:
            refit: also train every model anew without each group, which takes as many times the training as there are groups.
            draws: exchanges of each, over which results are averaged; each takes as long as forecasting all bars once.

        Returns:
            One row a `kind` (feature, group, refit) and name, what adds the most first: loss (by which share of itself the loss rises),
            loss_low, loss_high, p (two-sided), rank_ic (by how much the rank IC falls), rank_ic_low, rank_ic_high, adds (whether the
            interval of the loss lies above zero).

        Raises:
            TooLittleHistory: fewer than 250 forecasts have a known outcome.
            ForecasterFailed: the forecaster failed on such features.
        """
        fitted = self.fitted
        walk, request = fitted.forecasts.walk, fitted.request
        timeframe = next(iter(fitted.markets.values())).timeframe
        found = importance_of(walk, request.first, request.last, timeframe, refit=refit, progress=unheard, draws=draws)
        kinds = {"feature": found.features, "group": found.groups, "refit": found.refit}
        rows = [_row(kind, each) for kind, listed in kinds.items() for each in listed]
        return pd.DataFrame(rows).set_index(["kind", "name"])

    def source(self, symbol: str = "", horizon: int | None = None) -> ForecastSource:
        """What an indicator on `symbol` asks; the only symbol there is, whatever the name.

        Args:
            horizon: bars ahead; the one that strategies trade where None (`strategies.horizon`), or else the first.
        """
        fitted = self.fitted
        symbols = list(fitted.markets)
        if symbol not in symbols and len(symbols) > 1:
            raise InvalidSetting(f"{symbol or 'the feed'} is none of {', '.join(symbols)}; name the feed for its symbol")
        own = symbol if symbol in symbols else symbols[0]
        return fitted.forecasts.source(own, horizon or self.settings.strategies.horizon, fitted.markets[own].timeframe)

    def source_of(self, name: str) -> ForecastSource:
        """As `source`, for `LSTMForecast(self.data, source=wf)`."""
        return self.source(name)

    def _first(self, markets: dict[str, History]) -> datetime:
        """The first moment that a full window lies before, whichever boundary is in force at it."""
        models, step = self.settings.models, next(iter(markets.values())).timeframe
        oldest = max(history.candles.index[0] for history in markets.values()).to_pydatetime()
        return oldest + models.train_window + models.retrain_every + lead_bars(models, warm_up(tuple(FEATURES))) * step.delta


def _row(kind: str, one: Contribution) -> dict[str, object]:
    ends = {"loss": one.loss_ci, "rank_ic": one.rank_ic_ci}
    bounds = {f"{name}_{side}": pair[k] for name, pair in ends.items() if pair for k, side in enumerate(("low", "high"))}
    return {"kind": kind, "name": one.name, "loss": one.loss, "p": one.p, "rank_ic": one.rank_ic, **bounds, "adds": one.adds}


def request_for(
    settings: Settings, markets: Mapping[str, History], first: datetime, last: datetime, *, detail: str = "", **more: Any
) -> BacktestRequest:
    """The request that stands for candles at hand."""
    timeframe = str(next(iter(markets.values())).timeframe)
    whole = changed(settings, {"feeds.symbols": list(markets), "feeds.timeframe": timeframe, "feeds.detail": detail})
    return BacktestRequest(settings=whole, first=first, last=last, quiet=True, **more)


def end_of(markets: Mapping[str, History]) -> datetime:
    step = Timeframe.parse(str(next(iter(markets.values())).timeframe)).delta
    return max(history.candles.index[-1] for history in markets.values()).to_pydatetime() + step


def unheard(done: int, total: int) -> None:
    """Nobody watches."""
