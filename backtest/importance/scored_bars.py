"""The bars of a walk-forward that are scored, with the forecasts that were served and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from forwardtrader.models.features.sequences import realised, unit
from forwardtrader.models.folds.divergence import losses
from forwardtrader.models.folds.walk import ServedFold, WalkForward
from forwardtrader.models.forecasters.calibration import Calibration, distribution

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredBars:
    """The bars of one symbol in one fold whose forecast and outcome at the first horizon are known.

    Attributes:
        is_scored: bool [rows in force], which of them.
        times: of their opens, [n].
        truth: [n], the outcomes in units of the usual move; `outcome` [n] the same as plain log returns.
        usual: [n], the usual move.
        forecast: [n, 6], location and quantiles as they were served, in units of the usual move.
    """

    is_scored: NDArray[np.bool_]
    times: pd.DatetimeIndex
    truth: Floats
    outcome: Floats
    usual: Floats
    calibration: Calibration
    forecast: Floats

    @classmethod
    def of(cls, walk: WalkForward, served: ServedFold, symbol: str, first: pd.Timestamp) -> ScoredBars:
        """Those from `first` on."""
        panel, cut, horizon = walk.panel, served.fold[symbol], walk.settings.horizons[0]
        own = np.arange(cut.effective_first, cut.effective_last)
        truth = panel.targets[panel.offset[symbol] + own, 0].astype(np.float64)
        is_forecast = np.isfinite(served.raw[symbol]).all(axis=(1, 2, 3))
        rows = np.asarray((panel.index[symbol][own] >= first) & is_forecast & np.isfinite(truth))
        bars, at, calibration = panel.bars[symbol], own[rows], served.card.calibrations[symbol][0]
        outcome, usual = realised(bars, horizon)[at], unit(bars, horizon)[at]
        forecast = calibrated(served.raw[symbol][rows], calibration)
        return cls(rows, panel.index[symbol][at], truth[rows], outcome, usual, calibration, forecast)

    def __len__(self) -> int:
        return len(self.truth)

    def losses(self, forecast: Floats) -> Floats:
        """The Huber loss of the location plus the mean pinball loss of the quantiles, of forecasts [n, 6]: [n]."""
        return losses(forecast, self.truth)


def calibrated(raw: NDArray[np.float32], calibration: Calibration) -> Floats:
    """Raw forecasts [n, members, H, 6] as the first horizon's location and quantiles [n, 6], in units of the usual move."""
    found = distribution(raw.mean(axis=1)[:, 0], np.ones(len(raw)), calibration)
    return np.column_stack([found.location, found.quantiles])


def mean_over_symbols(found: list[tuple[pd.DatetimeIndex, Floats]]) -> Floats:
    """Tables [n, K] of several symbols as one [T, K] in the order of time: symbols move together, so a moment is one observation."""
    if not found:
        return np.zeros((0, 1))
    table = pd.concat([pd.DataFrame(values, index=times) for times, values in found])
    return table.groupby(level=0, sort=True).mean().to_numpy(dtype=np.float64)


def standardised_ranks(values: NDArray[np.floating]) -> Floats:
    """Ranks with mean zero and variance one; zeros where all are equal."""
    ranks = rankdata(values) - 0.5 * (len(values) + 1)
    spread = ranks.std()
    return np.asarray(ranks / spread if spread > 0.0 else np.zeros(len(values)))
