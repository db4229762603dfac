"""Several forecasters as one, weighted by what each lost lately: online aggregation with exponential weights.

The weights of a round are proportional to exp(-rate * loss so far), and the rate follows from the mixability gap that was met so far, so
nothing has to be tuned (AdaHedge: de Rooij, van Erven, Grünwald and Koolen 2014; exponential weights: Cesa-Bianchi and Lugosi 2006).
Whatever the losses are, with M forecasters over T rounds, and S the largest difference of two losses in a round, the weighted loss exceeds
that of the best forecaster by no more than

    S * sqrt(T * ln M) + S * (4/3 * ln M + 2)

and where a loss is convex, as the squared one is, the loss of the weighted forecast is no larger than the weighted loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.shipped.ensembles import StackingForecaster, ages
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel

Floats = NDArray[np.float64]


class AggregateForecaster(StackingForecaster):
    """As `StackingForecaster`, with the weights that online aggregation ends with on the newer part of the window.

    Bars are rounds in order of time, those of several symbols one round together, and each forecaster loses the squared error of its
    location. All outcomes are known by the end of the window, and no forecaster was fitted to any of them.

    Args:
        forecasters, newer, seed: as of `StackingForecaster`.
    """

    def __init__(
        self, forecasters: Sequence[BaseForecaster | str] = ("ridge", "huber_linear", "lightgbm"), newer: float = 0.25, seed: int = 0
    ) -> None:
        super().__init__(forecasters, newer, seed)

    def _learned(self, panel: SamplePanel) -> Floats:
        after, told = self._told_of_newer(panel)
        age, found = ages(after)[after.rows], []
        for h in range(len(panel.horizons)):
            missed = told[..., h] - after.Y[:, h].astype(np.float64)
            found.append(weights(rounds(missed * missed, age))[-1])
        return np.stack(found)


def rounds(losses: Floats, age: NDArray[np.int64]) -> Floats:
    """Mean losses of each round, float64 [T, M], the oldest first: of losses [M, N] by how many bars ago they were [N], as far as known."""
    known = np.isfinite(losses).all(axis=0)
    at, place = np.unique(-age[known], return_inverse=True)
    counts = np.bincount(place, minlength=len(at))
    return np.stack([np.bincount(place, weights=row, minlength=len(at)) / counts for row in losses[:, known]], axis=1)


def weights(losses: Floats) -> Floats:
    """The weights before each round, and after the last one: float64 [T + 1, M], from losses [T, M]."""
    many = losses.shape[1]
    total, gap, used = np.zeros(many), 0.0, []
    for row in losses:
        rate = math.log(many) / gap if gap > 0.0 else math.inf
        now, before = _mixed(rate, total)
        used.append(now)
        total = total + row
        after = _mixed(rate, total)[1]
        gap += max(0.0, float(now @ row) - (after - before))
    return np.stack([*used, _mixed(math.log(many) / gap if gap > 0.0 else math.inf, total)[0]])


def bound(losses: Floats) -> float:
    """How much more than the best forecaster the weighted ones can have lost at most."""
    spread = float((losses.max(axis=1) - losses.min(axis=1)).max(initial=0.0))
    many = math.log(losses.shape[1])
    return spread * math.sqrt(len(losses) * many) + spread * (4.0 / 3.0 * many + 2.0)


def _mixed(rate: float, total: Floats) -> tuple[Floats, float]:
    """Weights by losses so far, and their mix loss."""
    least = float(total.min())
    raw = (total == least).astype(np.float64) if math.isinf(rate) else np.exp(-rate * (total - least))
    mass = float(raw.sum())
    return raw / mass, least if math.isinf(rate) else least - math.log(mass / len(total)) / rate
