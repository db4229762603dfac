"""A volatility model: GJR-GARCH(1,1) with Student t innovations (Glosten, Jagannathan and Runkle 1993), beside simpler ones."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np

from forwardtrader.core.threads import one_thread
from forwardtrader.reports.statistics.bootstrap import Floats

MOST_BARS: Final = 10_000
_LEAST: Final = 500


@dataclass(frozen=True)
class VolatilityModel:
    """The fitted model. `sigma` is the volatility of each bar given those before it, by parameters that know all of them.

    Attributes:
        alpha, gamma, beta: weight of the last squared return, of a negative one besides, and of the last variance.
        tails: degrees of freedom of the innovations; below 4 the fourth moment does not exist.
        aic: of constant variance, of GARCH and of this model; the lowest describes best.
    """

    alpha: float
    gamma: float
    beta: float
    tails: float
    sigma: Floats
    aic: dict[str, float]

    @property
    def persistence(self) -> float:
        """How much of a shock to the variance is left one bar later."""
        return self.alpha + self.gamma / 2.0 + self.beta

    @property
    def half_life(self) -> float:
        """Bars until half of a shock is gone; infinite where it stays."""
        return math.log(0.5) / math.log(self.persistence) if 0.0 < self.persistence < 1.0 else math.inf


def volatility_model(returns: Floats) -> VolatilityModel | None:
    """Fit to the newest `MOST_BARS` log returns; None where they are too few or do not move, or no fit is found."""
    from arch import arch_model

    known = returns[np.isfinite(returns)][-MOST_BARS:]
    if len(known) < _LEAST or not known.std() > 0.0:
        return None
    scale = 1.0 / float(known.std())
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fits = {
                "constant": arch_model(known * scale, mean="Constant", vol="Constant", dist="t", rescale=False).fit(disp="off"),
                "GARCH": arch_model(known * scale, mean="Constant", p=1, o=0, q=1, dist="t", rescale=False).fit(disp="off"),
                "GJR-GARCH": arch_model(known * scale, mean="Constant", p=1, o=1, q=1, dist="t", rescale=False).fit(disp="off"),
            }
        except (ValueError, np.linalg.LinAlgError):
            return None
    fit = fits["GJR-GARCH"]
    alpha, gamma, beta, tails = (float(fit.params[name]) for name in ("alpha[1]", "gamma[1]", "beta[1]", "nu"))
    sigma = np.full(len(returns), np.nan)
    places = np.flatnonzero(np.isfinite(returns))[-len(known) :]
    sigma[places] = np.asarray(fit.conditional_volatility) / scale
    return VolatilityModel(alpha, gamma, beta, tails, sigma, {name: float(each.aic) for name, each in fits.items()})
