"""The volatility forecast: out of sample, and of about the stated coverage."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.reports.statistics.calibration import crps_skill
from forwardtrader.reports.statistics.volatility_forecast import har_quantiles


def clustered(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for t in range(1, n):
        level[t] = 0.99 * level[t - 1] + 0.12 * rng.normal()
    return 100 * np.exp(np.cumsum(0.004 * np.exp(level) * rng.normal(size=n)))


def test_the_volatility_forecast_is_calibrated_and_beats_a_constant() -> None:
    close = clustered(8000, 3)
    quantiles = har_quantiles(close, 1, 24.0)
    realised = np.append(np.diff(np.log(close)), np.nan)
    known = np.isfinite(quantiles).all(axis=1) & np.isfinite(realised)
    inside = (quantiles[known, 0] <= realised[known]) & (realised[known] <= quantiles[known, 4])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    constant = np.tile(np.quantile(realised[known], [0.05, 0.25, 0.5, 0.75, 0.95]), (known.sum(), 1))
    assert crps_skill(quantiles[known], constant, realised[known]) > 0.02


@pytest.mark.parametrize("horizon", [1, 24])
def test_the_volatility_forecast_never_sees_the_future(horizon: int) -> None:
    close = clustered(4000, 4)
    whole = har_quantiles(close, horizon, 24.0)
    for cut in (1300, 2500, 3999):
        assert np.array_equal(har_quantiles(close[: cut + 1], horizon, 24.0), whole[: cut + 1], equal_nan=True)
