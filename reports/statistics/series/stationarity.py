"""Unit root and stationarity tests: augmented Dickey-Fuller, whose null is a unit root, and KPSS, whose null is stationarity."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.core.threads import one_thread
from forwardtrader.reports.statistics.bootstrap import Floats

MOST_BARS: Final = 10_000  # the newest; a longer series says nothing else, and takes minutes
_LEVEL: Final = 0.05
_MOST_LAGS: Final = 24


@dataclass(frozen=True)
class Stationarity:
    """Both tests of one series; `says` is what they say together."""

    adf: float
    adf_p: float
    kpss: float
    kpss_p: float
    bars: int

    @property
    def says(self) -> str:
        rejects_root, rejects_level = self.adf_p < _LEVEL, self.kpss_p < _LEVEL
        if rejects_root and not rejects_level:
            return "stationary"
        if rejects_level and not rejects_root:
            return "a unit root: it wanders"
        return "no unit root, but a level that shifts" if rejects_root else "not clear"


def stationarity(values: Floats) -> Stationarity | None:
    """Test the newest `MOST_BARS` finite values; None where they are too few, or stand still."""
    from statsmodels.tsa.stattools import adfuller, kpss

    known = values[np.isfinite(values)][-MOST_BARS:]
    if len(known) < 50 or known.std() <= 1e-12 * max(1.0, float(np.abs(known).max())):
        return None
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a p outside the table of KPSS is given as its nearest
        adf, kp = adfuller(known, maxlag=_MOST_LAGS, autolag="BIC"), kpss(known, regression="c", nlags="auto")
    return Stationarity(float(adf[0]), float(adf[1]), float(kp[0]), float(kp[1]), len(known))
