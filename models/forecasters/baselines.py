"""Baselines: seven simple forecasters on the same features, the same folds and, where they learn, the same loss.

Targets and predictions are in units of volatility (the forward log return over the volatility known at the bar, clipped), features are
float32 [T, F] without NaN. Every baseline remembers the quantiles of its residuals over the training window, so that it forecasts a
distribution like any other. numpy does the linear work, `models.trees` the trees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import NotTrained, UnknownSetting
from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.trees import HUBER_DELTA, Trees, grow

Floats32 = NDArray[np.float32]
# The empirical distribution of residuals is kept on this grid; it is enough for the five quantiles and the probability of a rise.
_GRID: Final = np.linspace(0.005, 0.995, 199)
# Every so many-th row of the window is enough for those quantiles, and spares the trees a pass over all of it.
_RESIDUALS: Final = 4000


@dataclass(frozen=True)
class BaselineForecast:
    """A forecast in units of volatility: `location` [T], `quantiles` [T, 5] at `core.types.QUANTILES`, `p_up` [T]."""

    location: Floats32
    quantiles: Floats32
    p_up: Floats32


class Baseline(ABC):
    """Fits one training window, then forecasts any bars from their features.

    `source` names the feature that it is made of; empty where any will do.
    """

    name: ClassVar[str]
    source: ClassVar[str] = ""

    def __init__(self, feature_names: Sequence[str] = (), threads: int = 1) -> None:
        self.feature_names = tuple(feature_names)
        self.threads = threads
        self.residuals_: NDArray[np.float64] | None = None

    def fit(self, features: Floats32, target: Floats32, seed: int = 0) -> Baseline:
        """Learn from features [T, F] and targets [T]; rows must be those of the training window alone."""
        with one_thread():
            self._learn(features, target, seed)
            rows = slice(None, None, max(1, len(target) // _RESIDUALS))
            self.residuals_ = np.quantile(target[rows] - self.predict(features[rows]), _GRID)
        return self

    @abstractmethod
    def predict(self, features: Floats32) -> Floats32:
        """Location of the target for each row: float32 [T]."""

    def forecast(self, features: Floats32) -> BaselineForecast:
        """The whole distribution for each row.

        Raises:
            NotTrained: `fit` was never called.
        """
        if self.residuals_ is None:
            raise NotTrained(f"baseline {self.name} forecasts only after fit")
        location = self.predict(features)
        spread = np.interp(QUANTILES, _GRID, self.residuals_)
        below_zero = np.interp(-location, self.residuals_, _GRID)
        return BaselineForecast(location, (location[:, None] + spread).astype(np.float32), (1.0 - below_zero).astype(np.float32))

    def _learn(self, features: Floats32, target: Floats32, seed: int) -> None:
        """By default there is nothing to fit."""
        return

    def _column(self, features: Floats32, name: str) -> Floats32:
        """A named feature, or the first column where names are unknown."""
        return features[:, self.feature_names.index(name) if name in self.feature_names else 0]


class Zero(Baseline):
    """Tomorrow's price is today's: a return of zero."""

    name = "zero"

    def predict(self, features: Floats32) -> Floats32:
        return np.zeros(len(features), dtype=np.float32)


class Majority(Baseline):
    """The direction that was the more frequent one in the training window, at its median size."""

    name = "majority"
    location_: float = 0.0

    def _learn(self, features: Floats32, target: Floats32, seed: int) -> None:
        sign = 1.0 if np.count_nonzero(target > 0) >= np.count_nonzero(target < 0) else -1.0
        self.location_ = sign * max(abs(float(np.median(target))), 1e-4)

    def predict(self, features: Floats32) -> Floats32:
        return np.full(len(features), self.location_, dtype=np.float32)


class _Signal(Baseline):
    """A fixed signal times the one coefficient that had the least Huber loss in training, its sign fixed beforehand."""

    sign: ClassVar[float]
    size_: float = 1e-3

    def _signal(self, features: Floats32) -> Floats32:
        return self.sign * self._column(features, self.source)

    def _learn(self, features: Floats32, target: Floats32, seed: int) -> None:
        fitted = float(huber_weights(self._signal(features)[:, None], target, ridge=0.0, intercept=False)[0])
        # The rule is tested as it stands: a training window that contradicts it may shrink it, not turn it round.
        self.size_ = max(fitted, 1e-3)

    def predict(self, features: Floats32) -> Floats32:
        return (self.size_ * self._signal(features)).astype(np.float32)


class Reversal(_Signal):
    """The last return reverts."""

    name, source, sign = "reversal", "return_1_ago", -1.0


class Momentum(_Signal):
    """The direction of the last 24 bars continues."""

    name, source, sign = "momentum", "move_24", 1.0

    def _signal(self, features: Floats32) -> Floats32:
        return np.sign(self._column(features, self.source)).astype(np.float32)


class _Linear(Baseline):
    """An intercept and one weight per standardised feature."""

    weights_: NDArray[np.float64] | None = None
    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def _learn(self, features: Floats32, target: Floats32, seed: int) -> None:
        self.mean_ = features.mean(axis=0, dtype=np.float64)
        self.scale_ = np.maximum(features.std(axis=0, dtype=np.float64), 1e-6)
        self.weights_ = self._solve(self._standardised(features), target)

    def _solve(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        raise NotImplementedError

    def _standardised(self, features: Floats32) -> Floats32:
        return np.clip((features - self.mean_.astype(np.float32)) / self.scale_.astype(np.float32), -5.0, 5.0)

    def predict(self, features: Floats32) -> Floats32:
        if self.weights_ is None:
            raise NotTrained(f"baseline {self.name} predicts only after fit")
        weights = self.weights_.astype(np.float32)
        return np.asarray(np.einsum("tf,f->t", self._standardised(features), weights[:-1]) + weights[-1], dtype=np.float32)


class Ridge(_Linear):
    """Least squares with a squared penalty (Hoerl & Kennard 1970)."""

    name = "ridge"

    def _solve(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        return weighted_ridge(features, target, np.ones(len(target), dtype=np.float32), ridge=1e-3)


class HuberLinear(_Linear):
    """The same with Huber's loss (Huber 1964): large moves pull no harder than moderate ones."""

    name = "huber_linear"

    def _solve(self, features: Floats32, target: Floats32) -> NDArray[np.float64]:
        return huber_weights(features, target, ridge=1e-3)


class LightGbm(Baseline):
    """Gradient-boosted trees with Huber's loss, or those that were grown for the same window before."""

    name = "lightgbm"
    trees_: Trees | None = None

    def _learn(self, features: Floats32, target: Floats32, seed: int) -> None:
        self.trees_ = self.trees_ or grow(features, target, seed=seed, threads=self.threads)

    def predict(self, features: Floats32) -> Floats32:
        if self.trees_ is None:
            raise NotTrained("baseline lightgbm predicts only after fit")
        return self.trees_.predict(features)


def weighted_ridge(features: Floats32, target: Floats32, weights: Floats32, *, ridge: float) -> NDArray[np.float64]:
    """Weights of [features, 1] that minimise the weighted squared error plus `ridge * n * |w|^2`; the intercept goes free."""
    n, width = features.shape
    weighted = features * weights[:, None]
    gram = np.empty((width + 1, width + 1))
    gram[:width, :width] = weighted.T @ features
    gram[:width, width] = gram[width, :width] = weighted.sum(axis=0, dtype=np.float64)
    gram[width, width] = weights.sum(dtype=np.float64)
    gram[np.arange(width), np.arange(width)] += ridge * n
    right = np.append(weighted.T @ target, float(weights @ target))
    return np.asarray(np.linalg.lstsq(gram, right.astype(np.float64), rcond=None)[0])


def huber_weights(
    features: Floats32, target: Floats32, *, ridge: float, intercept: bool = True, delta: float = HUBER_DELTA, rounds: int = 12
) -> NDArray[np.float64]:
    """Huber regression by iteratively reweighted least squares: weights [F + 1], the last one the intercept (0 if switched off)."""
    solution = np.zeros(features.shape[1] + 1)
    for _ in range(rounds):
        error = np.abs(target - features @ solution[:-1].astype(np.float32) - np.float32(solution[-1]))
        weights = (delta / np.maximum(error, delta)).astype(np.float32)
        before = solution
        solution = weighted_ridge(features, target, weights, ridge=ridge) if intercept else _through_zero(features, target, weights)
        if np.abs(solution - before).max() < 1e-5:
            break
    return solution


def _through_zero(features: Floats32, target: Floats32, weights: Floats32) -> NDArray[np.float64]:
    signal = features[:, 0].astype(np.float64)
    power = float((weights * signal) @ signal)
    return np.array([float((weights * signal) @ target) / power if power > 0 else 0.0, 0.0])


BASELINES: Final[dict[str, Callable[..., Baseline]]] = {
    kind.name: kind for kind in (Zero, Reversal, Momentum, Ridge, HuberLinear, LightGbm, Majority)
}


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The baselines meant by a list of names, `all` or `none`, in the order of `BASELINES`.

    Raises:
        UnknownSetting: a name nobody knows; the message names the nearest.
    """
    wanted = [name.strip() for name in names if name.strip() and name.strip() != "none"]
    for name in wanted:
        if name != "all" and name not in BASELINES:
            raise UnknownSetting(f"baseline {name!r} is not known{nearest(name, BASELINES)}; there are {', '.join(BASELINES)}")
    return tuple(name for name in BASELINES if name in wanted or "all" in wanted)
