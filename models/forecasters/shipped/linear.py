"""Linear forecasters: an intercept and one weight per feature."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.huber_regression import huber_weights, weighted_ridge
from forwardtrader.models.forecasters.shipped.scaled_rows import Floats32, ScaledRows
from forwardtrader.models.forecasters.trees import HUBER_DELTA
from forwardtrader.models.port.sample_panel import CLIP


class _Linear(ScaledRows):
    """The samples are scaled once more, by their own mean and standard deviation: those whose target is known need not be all rows."""

    weights_: NDArray[np.float64]
    centre_: NDArray[np.float64]
    width_: NDArray[np.float64]

    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        self.centre_ = features.mean(axis=0, dtype=np.float64)
        self.width_ = np.maximum(features.std(axis=0, dtype=np.float64), 1e-6)
        self.weights_ = self._solved(self._centred(features), target)

    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        weights = self.weights_.astype(np.float32)
        return np.asarray(np.einsum("tf,f->t", self._centred(features), weights[:-1]) + weights[-1], dtype=np.float32)

    def _centred(self, features: Floats32) -> Floats32:
        return np.clip((features - self.centre_.astype(np.float32)) / self.width_.astype(np.float32), -CLIP, CLIP)

    @abstractmethod
    def _solved(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        """The weights [F + 1], the intercept last."""


class LinearRidge(_Linear):
    """Least squares with a squared penalty (Hoerl & Kennard 1970), which is `penalty` for each sample."""

    def __init__(self, penalty: float = 1e-3) -> None:
        self.penalty = penalty

    def _solved(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        return weighted_ridge(features, target, np.ones(len(target), dtype=np.float32), ridge=self.penalty)


class LinearHuber(_Linear):
    """The same with Huber's loss (Huber 1964): moves above `delta` times the usual one pull no harder than moderate ones."""

    def __init__(self, penalty: float = 1e-3, delta: float = HUBER_DELTA) -> None:
        self.penalty = penalty
        self.delta = delta

    def _solved(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        return huber_weights(features, target, ridge=self.penalty, delta=self.delta)
