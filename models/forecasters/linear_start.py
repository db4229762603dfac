"""Linear start: a closed-form Huber regression that the network is initialised with.

A fold is worth about a hundred updates, too few for gradient steps to find the best linear rule among dozens of features of small effect;
the closed form costs less than one epoch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.huber_regression import huber_weights
from forwardtrader.models.forecasters.lstm import FEATURE_CLIP, OUTPUTS, Weights

ROUNDS: Final = 5
LEAST_ROWS_PER_FEATURE: Final = 4


def linear_start(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
    *,
    ridge: float,
    delta: float,
) -> Weights:
    """First values of `skip` [F, H * 6] and `head_bias` [H * 6]; nothing where there are too few rows to solve for.

    Every output of a horizon starts from the same regression, each quantile at its distance among the residuals.

    Args:
        features: float32 [n, F], unscaled rows of the training window.
        targets: float32 [n, H]; NaN where unknown.
        ridge: squared penalty per row, in the loss's own unit.
        delta: where Huber's loss turns straight.
    """
    scaled = np.clip((features - mean) / std, -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32)
    skip = np.zeros((features.shape[1], targets.shape[1], OUTPUTS))
    bias = np.zeros((targets.shape[1], OUTPUTS))
    with one_thread():
        for h in range(targets.shape[1]):
            known = np.isfinite(targets[:, h])
            if known.sum() < LEAST_ROWS_PER_FEATURE * features.shape[1]:
                return {}
            x, y = scaled[known], targets[known, h]
            solved = huber_weights(x, y, ridge=ridge, delta=delta, rounds=ROUNDS)
            residuals = y - x @ solved[:-1].astype(np.float32) - solved[-1]
            skip[:, h, :] = solved[:-1, None]
            bias[h] = solved[-1] + np.concatenate([[0.0], np.quantile(residuals, QUANTILES)])
    return {"skip": skip.reshape(len(skip), -1).astype(np.float32), "head_bias": bias.reshape(-1).astype(np.float32)}
