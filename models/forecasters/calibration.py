"""Calibration: from a network's raw outputs to quantiles with the stated coverage.

The network's quantiles are stretched, each by its own factor, until they cover the newest training targets as often as their levels state
(split conformal prediction, Romano, Patterson and Candes 2019); the probability of a rise comes from the location's odds, fitted to the
same bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import QUANTILES

Floats = NDArray[np.float64]
LEAST_BARS: Final = 200
STRETCH: Final = (0.5, 2.0)
SHRINK_BARS: Final = 16.0
# Bars that a model was trained on lie closer to its forecasts than new ones do: how much wider new ones scatter (`docs/research.md`).
UNSEEN: Final = 1.03


@dataclass(frozen=True)
class Calibration:
    """For one horizon: how each quantile is stretched from the median, and the odds per unit of location over scale.

    `shrink` is the factor on the network's location: what was fitted is larger than what holds on new bars.
    """

    stretch: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)
    odds: float = 1.6
    shrink: float = 1.0


PLAIN: Final = Calibration()


@dataclass(frozen=True)
class Distribution:
    """Forecasts of one horizon as plain log returns, each [n]; quantiles [n, 5]."""

    location: Floats
    scale: Floats
    quantiles: Floats
    p_up: Floats


def untrained(settings: ModelSettings) -> list[Calibration]:
    """For each horizon the calibration before anything is fitted: the shrinkage that the settings ask for."""
    return [Calibration(shrink=share) for share in believed_shares(settings.shrink, settings.trees, settings.horizons)]


def believed_shares(shrink: float, trees: float, horizons: Sequence[int]) -> tuple[float, ...]:
    """Of the network's share what holds on new bars, of the trees' share all: they are regularised while they grow.

    Trees have their share at the first horizon alone.
    """
    shares = [trees if place == 0 else 0.0 for place in range(len(horizons))]
    return tuple(shrunk_share(shrink, h) * (1.0 - share) + share for h, share in zip(horizons, shares, strict=True))


def calibrate(raw: NDArray[np.float32], truth: NDArray[np.float32], before: Calibration = PLAIN) -> Calibration:
    """Fit to raw forecasts [n, 6] and the targets they met [n], in the same unit; unknown targets are left out.

    Args:
        before: gives the shrinkage, which is not fitted, and all else where there are too few targets.
    """
    known = np.isfinite(truth) & np.isfinite(raw).all(axis=1)
    if known.sum() < LEAST_BARS:
        return before
    quantiles, y = ordered(raw[known]), truth[known].astype(np.float64)
    median = quantiles[:, 2]
    stretch = tuple(_stretch(y - median, quantiles[:, k] - median, level) for k, level in enumerate(QUANTILES))
    odds = _odds(raw[known, 0].astype(np.float64) / width(quantiles), y > 0)
    return replace(before, stretch=stretch, odds=odds)  # type: ignore[arg-type]


def distribution(raw: NDArray[np.float32], unit: Floats, calibration: Calibration) -> Distribution:
    """Raw forecasts of one horizon [n, 6], in units of the usual move [n], as a calibrated distribution."""
    centre = calibration.shrink * raw[:, 0].astype(np.float64)
    quantiles = ordered(raw)
    median = quantiles[:, 2:3]
    quantiles = np.sort(median + (quantiles - median) * np.asarray(calibration.stretch), axis=1)
    scale = width(quantiles)
    p_up = 1.0 / (1.0 + np.exp(-np.clip(calibration.odds * centre / scale, -30.0, 30.0)))
    return Distribution(centre * unit, scale * unit, quantiles * unit[:, None], p_up)


def shrunk_share(share: float, horizon: int) -> float:
    """The shrinkage of the location at `horizon` bars, where `share` is the one at one bar.

    A window holds fewer independent targets of a longer horizon, so more of what was fitted is chance.
    """
    return share / (1.0 + (horizon - 1) / SHRINK_BARS)


def ordered(raw: NDArray[np.float32]) -> Floats:
    """The five quantiles in rising order (Chernozhukov, Fernandez-Val and Galichon 2010)."""
    return np.sort(raw[:, 1:].astype(np.float64), axis=1)


def width(quantiles: Floats) -> Floats:
    """The scale whose normal distribution has the 5 % and 95 % quantiles at the same distance."""
    return np.maximum((quantiles[:, 4] - quantiles[:, 0]) / 3.2897, 1e-6)


def _stretch(miss: Floats, arm: Floats, level: float) -> float:
    """The factor on `arm` under which a share `level` of `miss` lies below it."""
    if level == 0.5:
        return 1.0
    ratio = miss / np.where(np.abs(arm) > 1e-6, arm, np.sign(level - 0.5) * 1e-6)
    wanted = level if level > 0.5 else 1.0 - level
    return float(np.clip(UNSEEN * np.quantile(ratio, wanted), *STRETCH))


def _odds(score: Floats, rose: NDArray[np.bool_]) -> float:
    """Logistic slope without intercept, by Newton's method; never below zero, since a model is not used upside down."""
    slope = 1.6
    for _ in range(20):
        p = 1.0 / (1.0 + np.exp(-np.clip(slope * score, -30.0, 30.0)))
        curvature = float(np.sum(p * (1 - p) * score * score)) + 1e-9
        slope += float(np.sum((rose - p) * score)) / curvature
    return float(np.clip(slope, 0.0, 10.0))
