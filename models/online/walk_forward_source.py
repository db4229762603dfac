"""A finished walk-forward as a `ForecastSource`: the whole history at once, or bar by bar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pandas as pd

from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward
from forwardtrader.models.online.serving import ServingModels, ServingTerm
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import context_of


class WalkForwardSource:
    """`ForecastSource` of one symbol and horizon.

    `batch` looks up the forecasts each model made while in force; `latest` computes it anew from the last `warm_up` bars, to the same bits.

    Raises:
        FingerprintMismatch: `batch` is asked about candles other than those of the walk-forward.
        TradingError: no model was trained; what the walk-forward says of it.
    """

    def __init__(
        self, walk: WalkForward, symbol: str, horizon: int, timeframe: Timeframe, network: Callable[[str], FittedModel] | None = None
    ) -> None:
        self.symbol = symbol
        self.horizon = horizon
        self.timeframe_s = timeframe.seconds
        frame = walk.frame(symbol, horizon)
        frame["close"] = walk.panel.bars[symbol].close
        self._untrained = walk.untrained
        self._recorded = RecordedForecasts(frame, horizon, timeframe_s=timeframe.seconds)
        index = walk.panel.index[symbol]
        terms = [
            ServingTerm(index[served.fold[symbol].effective_first].to_pydatetime(), served.card)
            for served in walk.served
            if symbol in served.fold and served.fold[symbol].effective_first < len(index)
        ]
        own = pd.DataFrame(dict(walk.panel.bars[symbol].factors), index=index)
        self.serving = ServingModels(
            symbol, horizon, timeframe, terms, network or walk.network, context=context_of(walk.settings),
            facts=own.reindex if len(own.columns) else None, peers=lambda: walk.panel.bars,
        )  # fmt: skip
        self.warm_up = self.serving.warm_up
        self._follower = walk.follower(symbol, horizon) if isinstance(walk, OnlineWalkForward) else None

    def trained_at(self, at: datetime) -> datetime | None:
        """When the model in force at the bar that opens at `at` was trained; None where none is."""
        return self.serving.trained_at(at)

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        if self._untrained is not None:
            raise self._untrained
        return self._recorded.batch(bars)

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        if self._untrained is not None:
            raise self._untrained
        plain = self.serving.latest(bars)
        return plain if self._follower is None else self._follower.correct(plain, bars)
