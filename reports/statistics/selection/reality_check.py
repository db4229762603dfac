"""Reality check: is the best of several strategies better than a benchmark, corrected for choosing it? (Hansen 2005)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forwardtrader.core.p_values import resampled
from forwardtrader.reports.statistics.bootstrap import Floats, autocovariances, resampled_means
from forwardtrader.reports.statistics.significance import paired_differences


@dataclass(frozen=True, kw_only=True)
class SuperiorPredictiveAbility:
    """`p` is the consistent p-value for "no strategy beats the benchmark"; `lower` and `upper` bracket it."""

    p: float
    lower: float
    upper: float
    best: int
    block: float


def superior_predictive_ability(
    benchmark: Floats, strategies: Floats, *, block: float | None = None, samples: int = 1000, seed: int = 0
) -> SuperiorPredictiveAbility:
    """Hansen's test on returns per period, studentised, by the stationary bootstrap.

    Args:
        benchmark: returns [T] of the benchmark; zeros for cash.
        strategies: returns [T, K] of every strategy that was tried.
        block: mean block length in periods; the square root of T if absent.
    """
    excess = paired_differences(strategies, benchmark[:, None])
    n = len(excess)
    length = math.sqrt(n) if block is None else block
    mean = excess.mean(axis=0)
    spread = np.array([math.sqrt(max(_bootstrap_variance(column - column.mean(), length), 1e-300)) for column in excess.T])
    if n < 20 or not (excess.std(axis=0) > 0).any():
        return SuperiorPredictiveAbility(p=math.nan, lower=math.nan, upper=math.nan, best=0, block=length)
    moves = resampled_means(excess, block=length, samples=samples, seed=seed) - mean
    observed = max(0.0, float((mean / spread).max()))
    hopeless = -spread / math.sqrt(n) * math.sqrt(2.0 * math.log(math.log(n)))
    centres = {"upper": np.zeros_like(mean), "p": np.where(mean >= hopeless, 0.0, mean), "lower": np.minimum(mean, 0.0)}
    values = {name: _exceeding(moves + centre, spread, observed) for name, centre in centres.items()}
    return SuperiorPredictiveAbility(best=int(np.argmax(mean / spread)), block=length, **values)


def _exceeding(moves: Floats, spread: Floats, observed: float) -> float:
    """P-value of the observed best studentised mean; all resamples reach it where nothing beats the benchmark."""
    return resampled(int(np.count_nonzero(np.maximum((moves / spread).max(axis=1), 0.0) >= observed)), len(moves))


def _bootstrap_variance(centred: Floats, block: float) -> float:
    """Variance of the root-n mean under the stationary bootstrap (Politis & Romano 1994, lemma 1)."""
    n = len(centred)
    stay = 1.0 - 1.0 / max(block, 1.0)
    lag = np.arange(1, n)
    kernel = (1.0 - lag / n) * stay**lag + lag / n * stay ** (n - lag)
    gamma = autocovariances(centred, n - 1)
    return float(gamma[0] + 2.0 * kernel @ gamma[1:])
