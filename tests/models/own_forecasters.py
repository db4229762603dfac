"""Forecasters as users write them, for tests."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster, WarmStarting
from forwardtrader.models.port.sample_panel import SamplePanel


class Ridge(WarmStarting):
    """Least squares with a penalty; a warm start is a step towards the new weights."""

    def __init__(self, penalty: float = 10.0) -> None:
        self.penalty = penalty

    def fit(self, panel: SamplePanel) -> Self:
        self.mean_, self.std_ = panel.X.mean(axis=0), panel.X.std(axis=0) + 1e-6
        self.weights_ = self._solved(panel)
        return self

    def update(self, panel: SamplePanel) -> Self:
        self.weights_ = 0.5 * self.weights_ + 0.5 * self._solved(panel)
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return self._scaled(panel) @ self.weights_

    def _scaled(self, panel: SamplePanel) -> NDArray[np.float32]:
        return np.clip((panel.X - self.mean_) / self.std_, -5.0, 5.0)

    def _solved(self, panel: SamplePanel) -> NDArray[np.float32]:
        x = self._scaled(panel)
        weights: NDArray[np.float32] = np.linalg.solve(x.T @ x + self.penalty * np.eye(x.shape[1]), x.T @ panel.y).astype(np.float32)
        return weights


class Nearest(BaseForecaster):
    """The mean of what followed a few random windows: it draws, looks back over eight rows, and answers quantiles of all horizons."""

    warm_up = 8
    all_horizons = True

    def __init__(self, drawn: int = 200, seed: int = 0) -> None:
        self.drawn = drawn
        self.seed = seed

    def fit(self, panel: SamplePanel) -> Self:
        known = np.flatnonzero(np.isfinite(panel.Y).all(axis=1))
        rows = np.sort(np.random.default_rng(self.seed).choice(known, self.drawn))
        self.windows_ = panel.windows()[rows, :, 0].copy()
        self.outcomes_ = panel.Y[rows].copy()
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        distance = ((panel.windows()[:, None, :, 0] - self.windows_) ** 2).sum(axis=2)
        near = self.outcomes_[np.argsort(distance, axis=1, kind="stable")[:, :40]]
        return np.quantile(near, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1).transpose(1, 2, 0)


class Spread(BaseForecaster):
    """Location and scale of the window, whatever the features."""

    def fit(self, panel: SamplePanel) -> Self:
        self.location_, self.scale_ = float(panel.y.mean()), float(panel.y.std())
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        return np.full(len(panel), self.location_), np.full(len(panel), self.scale_)


RIDGE = Ridge(penalty=3.0)
