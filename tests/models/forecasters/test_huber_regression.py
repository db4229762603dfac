"""Huber regression finds the least Huber loss."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.forecasters.huber_regression import huber_weights
from tests.models.forecasters.shipped.samples import world


def test_huber_regression_minimises_the_huber_loss() -> None:
    from scipy.optimize import minimize

    features, target = world(1500)

    def loss(weights: np.ndarray) -> float:
        error = np.abs(target - features @ weights[:3] - weights[3])
        return float(np.where(error < 1, error**2 / 2, error - 0.5).mean())

    best = minimize(loss, np.zeros(4), tol=1e-10).x
    assert huber_weights(features, target, ridge=0.0, rounds=60) == pytest.approx(best, abs=2e-3)
