"""Forecasts with some features permuted: what a model would have said, had what they alone tell been that of another time.

A model looks back over rows, so a feature is replaced at all rows that a forecast sees, not at its own row alone: from the first row that
a fold's first forecast looks back to, its columns are laid over with whole stretches of another time. The stretches come from the fold's
own training window, so that nothing a forecast is given was known after its bar: stretches exchanged within the bars in force would
hand a forecast features of the bars it is about. They are of random length, since whole days of a calendar feature would be put where they
stood.

What is exchanged is the part of a column that the other columns do not tell (conditional permutation, Strobl et al. 2008): its residual of
a linear regression on them over the training window. Plain permutation sets a feature against its neighbours, where a model that weighs
one against the other is at a loss, whether they are worth anything or not (Hooker, Mentch and Zhou 2021). Columns permuted together keep
what they have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.features.panel import Panel
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.walk_forward import Fold

STRETCH: Final = 8.0  # mean length in contexts, so that few forecasts look back over a seam
LEAST_STRETCH: Final = 100.0
_RIDGE: Final = 1e-6  # for columns that others tell exactly
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingRows:
    """The training window of one symbol in one fold: its rows [n] in the panel without a NaN, and how its columns go together.

    `correlations` is float64 [F, F], of columns less `mean` [F] over `spread` [F].
    """

    rows: NDArray[np.int64]
    mean: Floats
    spread: Floats
    correlations: Floats

    @classmethod
    def of(cls, panel: Panel, symbol: str, fold: Fold) -> TrainingRows:
        first = panel.offset[symbol] + fold.train_first
        own = panel.features[first : first + fold.train_bars]
        known = np.isfinite(own).all(axis=1)
        values = own[known].astype(np.float64)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        spread = np.where(spread > 1e-12, spread, 1.0)
        scaled = (values - mean) / spread
        return cls(first + np.flatnonzero(known), mean, spread, scaled.T @ scaled / len(scaled))

    def told_by_others(self, columns: Sequence[int]) -> Floats:
        """The regression of `columns` on all others, in units of spreads: float64 [F, columns], zero in rows of `columns` themselves."""
        weights = np.zeros((len(self.mean), len(columns)))
        others = np.setdiff1d(np.arange(len(self.mean)), columns)
        if len(others):
            told = self.correlations[others]
            weights[others] = np.linalg.solve(told[:, others] + _RIDGE * np.eye(len(others)), told[:, list(columns)])
        return weights


@dataclass(frozen=True)
class Permutation:
    """Where each row that the forecasts of one symbol in one fold look back to takes its permuted features from.

    Attributes:
        first: row of the panel that the first forecast looks back to.
        donors: rows of the panel [rows], all of the training window: the same for whichever columns are permuted.
        apart: float64 [rows, F], in spreads, by how much each row differs from its donor.
    """

    training: TrainingRows
    first: int
    serving: NDArray[np.int64]
    donors: NDArray[np.int64]
    apart: Floats

    @classmethod
    def drawn(cls, panel: Panel, symbol: str, fold: Fold, training: TrainingRows, context: int, seed: Sequence[int]) -> Permutation:
        begin, last = max(fold.effective_first - context + 1, 0), fold.effective_last
        rng, mean = np.random.default_rng(seed), max(STRETCH * context, LEAST_STRETCH)
        donors = training.rows[_stretches(rng, len(training.rows), last - begin, mean)]
        first = panel.offset[symbol] + begin
        here = panel.features[first : first + last - begin].astype(np.float64)
        apart = (here - panel.features[donors]) / training.spread
        return cls(training, first, np.arange(fold.effective_first, last) - begin, donors, apart)

    def raw(self, model: FittedModel, panel: Panel, symbol: str, columns: Sequence[int], wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Raw forecasts with those columns permuted, at those of the rows in force that are `wanted`: float32 [n, members, H, 6]."""
        features = panel.features[self.first : self.first + len(self.donors)].copy()
        moved = self.apart @ self.training.told_by_others(columns) * self.training.spread[list(columns)]
        features[:, columns] = panel.features[self.donors[:, None], columns] + moved
        return model.raw(features, self.serving[wanted], symbol)


def _stretches(rng: np.random.Generator, known: int, wanted: int, mean: float) -> NDArray[np.int64]:
    """`wanted` places below `known`, in stretches of geometric length that start anywhere."""
    pieces: list[NDArray[np.int64]] = []
    while (lacking := wanted - sum(map(len, pieces))) > 0:
        length = min(int(rng.geometric(1.0 / mean)), lacking, known)
        start = int(rng.integers(0, known - length + 1))
        pieces.append(np.arange(start, start + length))
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
