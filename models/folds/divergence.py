"""Divergence: a training that ended far from any forecast, told before its model is saved."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import TrainingDiverged
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.trees import HUBER_DELTA

# A poor forecaster loses twice what a constant does, one that diverged a thousand times as much.
WORST: Final = 10.0
LEAST_KNOWN: Final = 32


def mean_loss(raw: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Huber loss of the location plus mean pinball loss of the quantiles, over all targets that are known.

    Args:
        raw: [..., 6], location and five quantiles.
        truth: [...], NaN where it is not known.
    """
    known = np.isfinite(truth)
    found, y = raw[known].astype(np.float64), truth[known].astype(np.float64)
    return float(np.mean(losses(found, y))) if len(y) else 0.0


def losses(found: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for each of n forecasts [n, 6] and what came of it [n]: [n]."""
    miss = np.abs(y - found[:, 0])
    huber = np.where(miss < HUBER_DELTA, 0.5 * miss * miss / HUBER_DELTA, miss - 0.5 * HUBER_DELTA)
    over, levels = y[:, None] - found[:, 1:], np.asarray(QUANTILES)
    return np.asarray(huber + np.maximum(levels * over, (levels - 1.0) * over).mean(axis=1))


def require_learned(raw: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
    """See that forecasts of bars it was trained on are no worse than any constant by orders of magnitude.

    Args:
        raw: [n, H, 6], forecasts of training rows.
        truth: [n, H], what came of them.

    Raises:
        TrainingDiverged: they are, or they are no numbers.
    """
    for h in range(truth.shape[1]):
        y = truth[np.isfinite(truth[:, h]), h]
        if len(y) < LEAST_KNOWN:
            continue
        constant = np.broadcast_to(np.array([np.median(y), *np.quantile(y, QUANTILES)], np.float32), (len(truth), 1 + len(QUANTILES)))
        ours, theirs = mean_loss(raw[:, h], truth[:, h]), mean_loss(constant, truth[:, h])
        if not ours <= WORST * max(theirs, 1e-3):
            raise TrainingDiverged(
                f"the training diverged: a loss of {ours:.3g} on the bars it learned from, {theirs:.3g} of a constant; "
                "lower its learning rate"
            )
