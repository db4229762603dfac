"""Significance of a Sharpe ratio, given its length, its tails and the number of trials.

Inside the formulas a Sharpe ratio is per period (not annualised), kurtosis is 3 for a normal distribution, and T counts periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.core.p_values import probability
from forwardtrader.reports.statistics.bootstrap import Floats, block_length, interval, resampled_means
from forwardtrader.reports.statistics.significance import normal_cdf, normal_quantile

EULER: Final = 0.5772156649015329
_DRAWS: Final = 2_000
# Numbers drawn at once: 32 MB in double precision.
_CELLS: Final = 4_000_000


@dataclass(frozen=True, kw_only=True)
class SharpeMoments:
    """A Sharpe ratio per period with what its error depends on: skew, kurtosis (3 is normal) and the number of periods."""

    sharpe: float
    skew: float
    kurtosis: float
    periods: int

    @property
    def spread(self) -> float:
        """Standard error times sqrt(T - 1): `sqrt(1 - skew SR + (kurtosis - 1)/4 SR^2)` (Mertens 2002)."""
        return math.sqrt(max(1.0 - self.skew * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2, 1e-12))


def sharpe_moments(returns: Floats) -> SharpeMoments:
    """Moments of simple returns per period [T]; the Sharpe ratio is NaN where nothing varies."""
    known = returns[np.isfinite(returns)]
    n = len(known)
    deviation = float(known.std(ddof=1)) if n > 1 else 0.0
    if not deviation > 1e-12 * max(float(np.abs(known).max(initial=0.0)), 1e-12):
        return SharpeMoments(sharpe=math.nan, skew=math.nan, kurtosis=math.nan, periods=n)
    scaled = (known - known.mean()) / known.std()
    return SharpeMoments(
        sharpe=float(known.mean()) / deviation, skew=float((scaled**3).mean()), kurtosis=float((scaled**4).mean()), periods=n
    )


def probabilistic_sharpe(moments: SharpeMoments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio per period is above `benchmark` (Bailey & López de Prado 2012); one minus it is a p-value."""
    if not math.isfinite(moments.sharpe) or moments.periods < 2:
        return math.nan
    return probability(normal_cdf((moments.sharpe - benchmark) * math.sqrt(moments.periods - 1) / moments.spread))


def expected_best_sharpe(trials: float, variance: float) -> float:
    """The Sharpe ratio per period that the best of `trials` worthless tries is expected to show (Bailey & López de Prado 2014).

    `variance` is that of the tried Sharpe ratios per period. One trial expects nothing.
    """
    if trials <= 1:
        return 0.0
    return math.sqrt(max(variance, 0.0)) * expected_best_normal(trials)


def expected_best_normal(trials: float) -> float:
    """Expected largest of `trials` independent standard normals: `(1-g) z(1-1/N) + g z(1-1/(N e))`, straight from one to two of them."""
    if trials <= 1:
        return 0.0
    if trials < 2:
        return (trials - 1.0) * expected_best_normal(2)
    return (1.0 - EULER) * normal_quantile(1.0 - 1.0 / trials) + EULER * normal_quantile(1.0 - 1.0 / (trials * math.e))


def effective_trials(returns: Floats, *, seed: int = 0) -> float:
    """The number of independent trials whose best is expected to be as high as the best of these, were all of them worthless.

    Neighbours in a grid earn nearly the same, so a hundred of them are not a hundred tries. Their Sharpe ratios, were all worthless, would
    be normal with the correlations of their returns; the mean of the largest is found by drawing them.

    Args:
        returns: net returns per period of each trial [T, N]; those that never move are no try.
    """
    varied = returns[:, returns.std(axis=0) > 1e-12] if len(returns) > 1 else returns[:, :0]
    if varied.shape[1] < 2:
        return float(varied.shape[1]) or 1.0
    scaled = (varied - varied.mean(axis=0)) / varied.std(axis=0) / math.sqrt(len(varied))
    draw, at_once = np.random.default_rng(seed), max(1, _CELLS // max(scaled.shape))
    largest = [(draw.standard_normal((min(at_once, _DRAWS - k), len(scaled))) @ scaled).max(axis=1) for k in range(0, _DRAWS, at_once)]
    return _independent(float(np.concatenate(largest).mean()), scaled.shape[1])


def _independent(best: float, most: int) -> float:
    """So many independent standard normals have `best` as their expected largest, at most `most`."""
    from scipy.special import ndtr

    grid = np.linspace(-8.0, 8.0, 2001)
    density, below = np.exp(-(grid**2) / 2.0) / math.sqrt(2.0 * math.pi), ndtr(grid)
    low, high = 1.0, float(most)
    for _ in range(50):
        middle = (low + high) / 2.0
        if float(np.trapezoid(grid * middle * density * below ** (middle - 1.0), grid)) < best:
            low = middle
        else:
            high = middle
    return low


def deflated_sharpe(moments: SharpeMoments, trials: int, variance: float, *, effective: float | None = None) -> float:
    """Probability that the true Sharpe ratio is above zero although it is the best of `trials` (Bailey & López de Prado 2014)."""
    return probabilistic_sharpe(moments, benchmark_of_tries(moments, trials, variance, effective))


def benchmark_of_tries(moments: SharpeMoments, trials: int, variance: float, effective: float | None = None) -> float:
    """The Sharpe ratio per period that the best of so many worthless tries is expected to show.

    Args:
        effective: how many independent trials they are worth (`effective_trials`), where that is known. Independent ones differ by chance
            at least, and correlated ones by less: the variance is then no smaller than that of the error of one Sharpe ratio, or their
            likeness would be counted twice.
    """
    if effective is None or moments.periods < 2 or not math.isfinite(moments.sharpe):
        return expected_best_sharpe(trials, variance)
    return expected_best_sharpe(effective, max(variance, moments.spread**2 / (moments.periods - 1)))


def minimum_track_record(moments: SharpeMoments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Periods needed to show a Sharpe ratio above `benchmark` (Bailey & López de Prado 2012); infinite where it is not above."""
    if not math.isfinite(moments.sharpe):
        return math.nan
    if moments.sharpe <= benchmark:
        return math.inf
    return 1.0 + moments.spread**2 * (normal_quantile(confidence) / (moments.sharpe - benchmark)) ** 2


def minimum_backtest_years(trials: int, annual_sharpe: float = 1.0) -> float:
    """Years below which the best of `trials` worthless tries shows `annual_sharpe` by luck (Bailey et al. 2014)."""
    if annual_sharpe <= 0:
        return math.inf
    return (expected_best_normal(trials) / annual_sharpe) ** 2


def sharpe_interval(
    returns: Floats, periods_per_year: float, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Stationary-bootstrap interval of the annual Sharpe ratio of returns per period [T]; NaN for fewer than 20 periods."""
    known = returns[np.isfinite(returns)]
    if len(known) < 20 or not known.std() > 0:
        return (math.nan, math.nan)
    means = resampled_means(np.stack([known, known**2], axis=1), block=block_length(known), samples=samples, seed=seed)
    spread = np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval(np.where(spread > 0, means[:, 0] / spread, np.nan) * math.sqrt(periods_per_year), confidence)
