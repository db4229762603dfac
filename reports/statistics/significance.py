"""Significance tests of means, loss differences and proportions under serial dependence.

`scipy.special` is imported inside the functions, so that importing this module costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forwardtrader.core.p_values import analytic
from forwardtrader.reports.statistics.bootstrap import Floats, autocovariances


@dataclass(frozen=True, kw_only=True)
class MeanTest:
    """A test of `mean = 0`. `p` is two-sided, `p_above` one-sided against a mean above zero; `lags` those of the variance."""

    mean: float
    statistic: float
    p: float
    p_above: float
    lags: int
    n: int

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of the mean, by the same standard error and degrees of freedom; NaN where the test is undefined."""
        if not self.statistic:
            return (math.nan, math.nan)
        from scipy.special import stdtrit

        reach = float(stdtrit(self.n - 1, (1.0 + confidence) / 2.0)) * abs(self.mean / self.statistic)
        return (self.mean - reach, self.mean + reach)


UNDEFINED = MeanTest(mean=math.nan, statistic=math.nan, p=math.nan, p_above=math.nan, lags=0, n=0)


def newey_west_variance(series: Floats, lags: int) -> float:
    """Long-run variance of a series with Bartlett weights (Newey & West 1987), never negative."""
    centred = series - series.mean()
    gamma = autocovariances(centred, min(lags, len(series) - 1))
    weights = 1.0 - np.arange(1, len(gamma)) / (lags + 1.0)
    return float(gamma[0] + 2.0 * weights @ gamma[1:])


def bandwidth(n: int, horizon: int = 1) -> int:
    """Lags for the long-run variance: `4 (n/100)^(2/9)`, and at least twice the overlap of the labels.

    Labels over h bars share h - 1 of them with their neighbour; Bartlett weights halve the middle lag, hence the factor two.
    """
    return min(max(int(4.0 * (n / 100.0) ** (2.0 / 9.0)), 2 * (horizon - 1)), max(n - 2, 0))


def mean_test(series: Floats, *, horizon: int = 1) -> MeanTest:
    """Test a mean of dependent values against zero, with Student's t on n - 1 degrees of freedom.

    The standard error carries the small-sample factor of Harvey, Leybourne & Newbold 1997 for forecasts over `horizon` bars.
    """
    known = series[np.isfinite(series)]
    n = len(known)
    # The mean of equal numbers is off by their rounding, which is no spread to test against.
    if n < 8 or not known.std() > 1e-12 * float(np.abs(known).max()):
        return UNDEFINED
    lags = bandwidth(n, horizon)
    variance = newey_west_variance(known, lags)
    if variance <= 0:
        return UNDEFINED
    small_sample = math.sqrt(max((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n, 0.0))
    statistic = float(known.mean()) / math.sqrt(variance / n) * small_sample
    return _tested(float(known.mean()), statistic, lags, n)


def _tested(mean: float, statistic: float, lags: int, n: int) -> MeanTest:
    from scipy.special import stdtr

    # Each tail by itself: one minus the other would lose all that is smaller than the spacing of numbers at one.
    above, below = (analytic(float(stdtr(n - 1, side))) for side in (-statistic, statistic))
    return MeanTest(mean=mean, statistic=statistic, p=min(1.0, 2.0 * min(above, below)), p_above=above, lags=lags, n=n)


def diebold_mariano(losses: Floats, rival_losses: Floats, *, horizon: int = 1) -> MeanTest:
    """Diebold & Mariano 1995 on paired losses [n]; a negative statistic means that `losses` are the smaller ones.

    `p` is two-sided: it is small where the losses differ, and the sign shows which are smaller.
    """
    return mean_test(paired_differences(losses, rival_losses), horizon=horizon)


def paired_differences(first: Floats, second: Floats) -> Floats:
    """`first` - `second`, zero where they differ by rounding only: a test of that would find a difference between equals."""
    difference = np.asarray(first - second, dtype=np.float64)
    size = max(float(np.nanmax(np.abs(side), initial=0.0)) for side in (first, second))
    return np.where(np.abs(difference) <= 1e-12 * size, 0.0, difference)


def wilson(hits: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927) for `hits` of `n` independent trials; NaN without trials."""
    if n <= 0:
        return (math.nan, math.nan)
    z = normal_quantile((1.0 + confidence) / 2.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(middle - half, 0.0), min(middle + half, 1.0))


def normal_quantile(p: float) -> float:
    """Inverse of the standard normal distribution function."""
    from scipy.special import ndtri

    return float(ndtri(p))


def normal_cdf(z: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
