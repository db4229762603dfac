"""Linear regression with a squared loss or Huber's, in numpy: what linear forecasters and the network's first weights are solved by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.trees import HUBER_DELTA

Floats32 = NDArray[np.float32]


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
