"""The closed-form beginning of a network."""

from __future__ import annotations

import numpy as np

from forwardtrader.models.forecasters.calibration import Calibration, distribution, shrunk_share
from forwardtrader.models.forecasters.linear_start import linear_start


def data(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.standard_normal((n, 4)).astype(np.float32)
    noise = rng.standard_t(3, n)
    targets = np.stack([0.5 * features[:, 0] + noise, -0.3 * features[:, 2] + noise], axis=1).astype(np.float32)
    targets[-7:, 1] = np.nan
    return features, targets


def begin(features: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    return linear_start(features, targets, np.zeros(4, np.float32), np.ones(4, np.float32), ridge=1e-4, delta=1.0)


def test_each_horizon_starts_from_its_own_rule() -> None:
    skip = begin(*data())["skip"].reshape(4, 2, 6)
    np.testing.assert_allclose(skip[:, 0, 0], [0.5, 0, 0, 0], atol=0.06)
    np.testing.assert_allclose(skip[:, 1, 0], [0, 0, -0.3, 0], atol=0.06)


def test_the_first_quantiles_cover_the_residuals_as_they_say() -> None:
    features, targets = data()
    weights = begin(features, targets)
    out = (features @ weights["skip"] + weights["head_bias"]).reshape(-1, 2, 6)
    below = (targets[:, :1] < out[:, 0, 1:]).mean(axis=0)
    np.testing.assert_allclose(below, [0.05, 0.25, 0.5, 0.75, 0.95], atol=0.005)


def test_too_few_rows_give_no_start() -> None:
    features, targets = data()
    assert begin(features[:12], targets[:12]) == {}


def test_less_is_believed_of_a_longer_horizon() -> None:
    shares = [shrunk_share(0.65, h) for h in (1, 4, 24, 168)]
    assert shares[0] == 0.65
    assert shares == sorted(shares, reverse=True)


def test_the_location_is_shrunk_and_the_quantiles_are_not() -> None:
    raw = np.array([[0.4, -1.0, -0.3, 0.1, 0.6, 1.4]], dtype=np.float32)
    unit = np.array([0.01])
    whole, half = (distribution(raw, unit, Calibration(shrink=s)) for s in (1.0, 0.5))
    np.testing.assert_allclose(half.location, 0.5 * whole.location)
    np.testing.assert_array_equal(half.quantiles, whole.quantiles)
    assert 0.5 < half.p_up[0] < whole.p_up[0]
