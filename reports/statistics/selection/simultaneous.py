"""Simultaneous intervals of many means: none of them leaves its mean out by chance, however many are looked at.

The largest studentised deviation over all columns is resampled (Westfall and Young 1993; Romano and Wolf 2005), so that columns that move
together cost less than by Bonferroni, and whether an interval holds zero is the test that keeps the error rate over the whole family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.core.p_values import resampled
from forwardtrader.reports.statistics.bootstrap import Floats, block_length, resampled_means
from forwardtrader.reports.statistics.significance import bandwidth, newey_west_variance

SAMPLES: Final = 1000


@dataclass(frozen=True)
class SimultaneousMean:
    """A mean, its interval and its two-sided p-value, both corrected for all the means beside it."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def is_positive(self) -> bool:
        return self.low > 0.0


def simultaneous_means(columns: Floats, *, block: float, seed: int = 0, confidence: float = 0.95) -> list[SimultaneousMean]:
    """The means of columns [n, K], all finite, of bars in order. A column of zeros is zero for sure.

    Args:
        block: mean length in rows of the stationary bootstrap's blocks; longer ones where the columns hang together for longer.
    """
    n, means = len(columns), columns.mean(axis=0)
    moving = np.flatnonzero(columns.std(axis=0) > 0.0)
    none = [SimultaneousMean(float(mean), float(mean), float(mean), 1.0) for mean in means]
    if not len(moving):
        return none
    own = columns[:, moving]
    length = max([block, *(block_length(column) for column in own.T)])
    drawn = resampled_means(own, block=length, samples=SAMPLES, seed=seed) - means[moving]
    # A short bootstrap's spread is too small where blocks are few, that of Bartlett weights where they are long: the larger one counts.
    weighted = [np.sqrt(newey_west_variance(column, max(bandwidth(n), int(length))) / n) for column in own.T]
    error = np.maximum(np.maximum(drawn.std(axis=0, ddof=1), weighted), 1e-300)
    largest = np.abs(drawn / drawn.std(axis=0, ddof=1)).max(axis=1)
    reach = float(np.quantile(largest, confidence))
    for place, mean, spread in zip(moving, means[moving], error, strict=True):
        p = resampled(int(np.count_nonzero(largest >= abs(mean) / spread)), SAMPLES)
        none[place] = SimultaneousMean(float(mean), float(mean - reach * spread), float(mean + reach * spread), p)
    return none
