"""Dependence in time, of a series on itself and on another one, with bounds that hold under changing volatility.

The usual bound of +-1.96 / sqrt(n) takes volatility for constant and finds dependence in every market. Here the variance of each
autocorrelation is sum(x_t^2 y_(t-k)^2) / (sum x^2 sum y^2), after Lo and MacKinlay (1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.reports.statistics.bootstrap import Floats

_NORMAL_95: Final = 1.959964


@dataclass(frozen=True)
class Correlogram:
    """Correlations at lags, and how far from zero chance alone takes each of them in 95 of 100 cases.

    `lags` above zero: what the second series did so many bars before the first; `p` is of all of them together (Holm).
    """

    lags: tuple[int, ...]
    values: tuple[float, ...]
    bounds: tuple[float, ...]
    p: float
    bars: int

    @property
    def strongest(self) -> int:
        """The lag whose correlation stands out most."""
        return max(zip(self.lags, self.values, self.bounds, strict=True), key=lambda each: abs(each[1]) / max(each[2], 1e-12))[0]


def autocorrelation(values: Floats, most: int) -> Correlogram | None:
    """Of a series with its own past, at lags 1 to `most`; None where it is too short or stands still."""
    return cross_correlation(values, values, range(1, most + 1))


def cross_correlation(values: Floats, other: Floats, lags: Sequence[int]) -> Correlogram | None:
    """Of `values[t]` with `other[t - lag]`, both of one length and NaN where unknown."""
    x, y = values - np.nanmean(values), other - np.nanmean(other)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 10 * max(abs(lag) for lag in lags) + 20:
        return None
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    if not scale > 0.0:
        return None
    found = [_one(x, y, lag, scale) for lag in lags]
    correlations, errors = (np.array(each) for each in zip(*found, strict=True))
    scores = np.abs(correlations) / np.maximum(errors, 1e-12)
    return Correlogram(
        tuple(lags), tuple(correlations.tolist()), tuple((_NORMAL_95 * errors).tolist()), _holm(scores), int(known.sum())
    )  # fmt: skip


def _one(x: Floats, y: Floats, lag: int, scale: float) -> tuple[float, float]:
    now, then = (x[lag:], y[: len(y) - lag]) if lag >= 0 else (x[:lag], y[-lag:])
    return float((now * then).sum()) / scale, float(np.sqrt((now * now * then * then).sum())) / scale


def _holm(scores: Floats) -> float:
    """The smallest p of all lags, corrected for having looked at all of them."""
    from scipy.stats import norm

    return float(min(1.0, 2.0 * norm.sf(float(scores.max())) * len(scores)))
