"""Where the centre of a forecast stands: what the network says within its reach, and beyond it the network's last word and the trend.

A training window of two years holds some hundred independent targets of a day and a dozen of a month: what a network makes of them is
chance (`docs/research.md` has the numbers). So over more than `REACH` bars the network gives the spread, and the centre is put together
from two things that last: its own forecast of the next bars, which the market takes about a day to follow, and the trend of one to two
weeks of hourly bars (time-series momentum: Moskowitz, Ooi and Pedersen 2012; Liu and Tsyvinski 2021 for coins), at weights that are
settings and not fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.catalogue import VOLATILITY_BARS, Bars, warm_up
from forwardtrader.models.features.rolling import window_sum
from forwardtrader.models.forecasters.calibration import Calibration, Distribution, Floats, distribution, kept

REACH: Final = 8
TREND_BARS: Final = (168, 336)
TREND_CLIP: Final = 3.0


def look_back(names: tuple[str, ...], horizons: Sequence[int]) -> int:
    """Bars that a forecast of these features and horizons looks back over."""
    trend = VOLATILITY_BARS + 1 + max(TREND_BARS) if beyond(horizons) else 0
    return max(warm_up(names), trend)


def beyond(horizons: Sequence[int]) -> list[int]:
    """The horizons past the network's reach; none where the network has no shorter one to go by."""
    return [h for h in horizons if h > REACH] if min(horizons) <= REACH else []


def trend(bars: Bars) -> Floats:
    """Move of the last one and two weeks of hourly bars, each in units of what is usual over as long, averaged: [T]."""
    moves = [np.clip(window_sum(bars.scaled_returns, n) / np.sqrt(n), -TREND_CLIP, TREND_CLIP) for n in TREND_BARS]
    whole: Floats = sum(moves[1:], moves[0]) / len(moves)
    return whole


def untrained(settings: ModelSettings) -> list[Calibration]:
    """For each horizon what settings alone decide: how much of the network's location is believed, and what stands in its place."""
    composed = beyond(settings.horizons)
    return [
        Calibration(shrink=0.0, carry=settings.carry, trend=settings.trend) if h in composed else Calibration(shrink=_believed(settings, h))
        for h in settings.horizons
    ]


def _believed(settings: ModelSettings, horizon: int) -> float:
    """Of the network's share what holds on new bars, of the trees' share all: they are held back while they grow."""
    trees = settings.trees if horizon == settings.horizons[0] else 0.0
    return kept(settings.shrink, horizon) * (1.0 - trees) + trees


def centre(locations: NDArray[np.float32], h: int, horizons: Sequence[int], trends: Floats, calibrations: Sequence[Calibration]) -> Floats:
    """The centre of horizon number `h`, in units of its usual move: [n].

    Args:
        locations: the network's, each in units of its own horizon's usual move, [n, H].
        trends: `trend` at the same bars, [n].
    """
    calibration = calibrations[h]
    if not (calibration.carry or calibration.trend):
        return calibration.shrink * np.asarray(locations[:, h], dtype=np.float64)
    last = max((k for k in range(len(horizons)) if horizons[k] <= REACH), key=lambda k: horizons[k])
    word = calibrations[last].shrink * locations[:, last].astype(np.float64) * (horizons[last] / horizons[h]) ** 0.5
    return calibration.carry * word + calibration.trend * trends


def told(
    raw: NDArray[np.float32], h: int, horizons: Sequence[int], unit: Floats, trends: Floats, calibrations: Sequence[Calibration]
) -> Distribution:
    """The distribution of horizon number `h` from raw forecasts [n, H, 6] and the usual moves over that horizon [n]."""
    at = centre(raw[:, :, 0], h, horizons, trends, calibrations)
    return distribution(raw[:, h], unit, calibrations[h], at)
