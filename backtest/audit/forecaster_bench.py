"""The bench on which `check_forecaster` tries a forecaster: one fold of a short market, fitted and asked in several ways."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import ForecasterFailed, TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.folds.fitting import LEAST_SAMPLES, fit_fold, training_panel
from forwardtrader.models.folds.training import Base
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.fitted import FittedForecaster
from forwardtrader.models.port.sample_panel import SamplePanel
from forwardtrader.models.walk_forward import Fold

SERVED: Final = 96  # bars at the end that are forecast
FIRST_SEED: Final = 7
Raw = NDArray[np.float32]


@dataclass(frozen=True)
class ForecasterBench:
    """A forecaster, and the candles of one symbol it is tried on."""

    prototype: BaseForecaster
    candles: pd.DataFrame
    timeframe: Timeframe
    horizons: tuple[int, ...]
    features: tuple[str, ...]
    symbol: str = "BTC/USDT"

    @functools.cached_property
    def panel(self) -> Panel:
        return self.panel_of(self.candles)

    @property
    def settings(self) -> ModelSettings:
        return ModelSettings(horizons=self.horizons, seeds=1, seed=FIRST_SEED)

    @functools.cached_property
    def fold(self) -> Fold:
        """Trained on all but the newest bars, in force for those.

        Raises:
            TooLittleHistory: the candles do not fill it.
        """
        bars, first = len(self.candles), warm_up(self.panel.names)
        last = bars - SERVED - max(self.horizons)
        if last - first < LEAST_SAMPLES + self.prototype.warm_up:
            needed = first + LEAST_SAMPLES + self.prototype.warm_up + SERVED + max(self.horizons)
            raise TooLittleHistory(f"{bars} bars are too few to fit and ask it; give at least {needed}")
        return Fold(pd.Timestamp(self.candles.index[last]).to_pydatetime(), first, last, bars - SERVED, bars)

    @functools.cached_property
    def model(self) -> FittedForecaster:
        """The fold's model, fitted once."""
        return self.fitted()

    @property
    def earlier_fold(self) -> Fold:
        """Another window, which ends a quarter before."""
        fold = self.fold
        moved = fold.train_bars // 4
        boundary = pd.Timestamp(self.candles.index[fold.train_last - moved]).to_pydatetime()
        return replace(fold, boundary=boundary, train_last=fold.train_last - moved)

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.arange(self.fold.effective_first, self.fold.effective_last)

    def panel_of(self, candles: pd.DataFrame) -> Panel:
        names = chosen(self.features, (), self.timeframe)
        return Panel.of({self.symbol: candles}, self.horizons, names, self.timeframe)

    def samples(self, fold: Fold | None = None) -> SamplePanel:
        """The samples that a fit gets; each call copies them."""
        return training_panel(self.panel, self._folds(fold), self.settings, str(self.timeframe), self.prototype.warm_up)

    def fitted(
        self, panel: Panel | None = None, *, fold: Fold | None = None, seed: int = FIRST_SEED, base: FittedForecaster | None = None
    ) -> FittedForecaster:
        """The fold's model. Raises whatever a fold raises."""
        settings = self.settings.model_copy(update={"seed": seed})
        before = None if base is None else Base("base", base)
        result = fit_fold(
            self.prototype, panel or self.panel, self._folds(fold), settings, identity="check", timeframe=str(self.timeframe), base=before,
            is_to_be_read=False,  # that is one of the checks
        )  # fmt: skip
        assert isinstance(result.model, FittedForecaster)
        return result.model

    def alone(self, samples: SamplePanel) -> BaseForecaster:
        """One forecaster fitted to samples at their first horizon, or at all of them where it answers all, and nothing else done."""
        made = self.prototype.clone()
        with owned_errors(type(made).__name__, ForecasterFailed):
            seeded = made.set_params(seed=FIRST_SEED) if made.is_seeded else made
            return seeded.fit(samples if made.all_horizons else samples.at_horizon(0))

    def raw(self, model: FittedForecaster, panel: Panel | None = None, rows: NDArray[np.int64] | None = None) -> Raw:
        """Raw forecasts of the rows in force: float32 [N, members, H, 6]."""
        return model.raw((panel or self.panel).features, self.rows if rows is None else rows, self.symbol)

    def _folds(self, fold: Fold | None) -> Mapping[str, Fold]:
        return {self.symbol: fold or self.fold}
