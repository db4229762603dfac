"""Two regimes of the variance of daily returns (Hamilton 1989): how calm and how wild, how long they last, and which one held when."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.core.threads import one_thread
from forwardtrader.reports.statistics.bootstrap import Floats

_LEAST: Final = 200
MOST_DAYS: Final = 2000


@dataclass(frozen=True)
class Regime:
    """One regime: mean and volatility of a day's return, share of the days, and how many days it lasts as a rule."""

    name: str
    mean: float
    volatility: float
    share: float
    days: float


@dataclass(frozen=True)
class Regimes:
    """Both regimes, the calm one first, and for each day the probability of the wild one, given that day and those before it."""

    calm: Regime
    wild: Regime
    wild_probability: Floats


def regimes(daily: Floats) -> Regimes | None:
    """Fit to the newest `MOST_DAYS` daily log returns; None where they are too few, or no two regimes are found."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    known = daily[np.isfinite(daily)][-MOST_DAYS:]
    if len(known) < _LEAST or not known.std() > 0.0:
        return None
    scale = 1.0 / float(known.std())
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = MarkovRegression(known * scale, k_regimes=2, trend="c", switching_variance=True).fit(disp=False, maxiter=50)
        except (ValueError, np.linalg.LinAlgError):
            return None
    values = dict(zip(fit.model.param_names, np.asarray(fit.params), strict=True))
    filtered, lasts = np.asarray(fit.filtered_marginal_probabilities), np.asarray(fit.expected_durations)
    found = [
        (
            float(np.sqrt(values[f"sigma2[{n}]"])) / scale,
            float(values[f"const[{n}]"]) / scale,
            float(filtered[:, n].mean()),
            float(lasts[n]),
            n,
        )
        for n in range(2)
    ]
    if not all(np.isfinite(each[:4]).all() for each in found):
        return None
    calm, wild = (
        Regime(name, mean, sigma, share, days) for name, (sigma, mean, share, days, _) in zip(("calm", "wild"), sorted(found), strict=True)
    )
    probability = np.full(len(daily), np.nan)
    probability[np.flatnonzero(np.isfinite(daily))[-len(known) :]] = filtered[:, max(found)[4]]
    return Regimes(calm, wild, probability)
