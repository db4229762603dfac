"""Raw outputs become distributions that cover what they say."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.forecasters.calibration import Calibration, calibrate, distribution, untrained


def told(n: int, *, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw forecasts whose quantiles are `spread` times as wide as the truth's."""
    rng = np.random.default_rng(seed)
    location = 0.3 * rng.standard_normal(n)
    truth = location + rng.standard_normal(n)
    levels = np.array([-1.645, -0.674, 0.0, 0.674, 1.645]) * spread
    return np.column_stack([location, location[:, None] + levels]).astype(np.float32), truth.astype(np.float32)


@pytest.mark.parametrize("spread", [0.6, 1.0, 1.8])
def test_new_outcomes_fall_inside_the_calibrated_band_nine_times_in_ten(spread: float) -> None:
    fitted = calibrate(*told(4000, spread=spread, seed=1))
    raw, truth = told(4000, spread=spread, seed=2)
    band = distribution(raw, np.ones(len(raw)), fitted).quantiles
    assert np.mean((truth > band[:, 0]) & (truth < band[:, 4])) == pytest.approx(0.9, abs=0.02)


def test_the_probability_of_a_rise_is_the_frequency_of_rises() -> None:
    fitted = calibrate(*told(8000, spread=1.0, seed=1))
    raw, truth = told(8000, spread=1.0, seed=2)
    p = distribution(raw, np.ones(len(raw)), fitted).p_up
    confident = p > 0.6
    assert np.mean(truth[confident] > 0) == pytest.approx(p[confident].mean(), abs=0.03)


def test_a_model_that_is_wrong_is_not_used_upside_down() -> None:
    raw, truth = told(4000, spread=1.0)
    assert calibrate(raw, -truth).odds == 0.0


def test_crossed_quantiles_are_put_in_order() -> None:
    raw = np.array([[0.0, 1.0, 0.5, 0.0, -0.5, -1.0]], dtype=np.float32)
    band = distribution(raw, np.array([0.01]), Calibration()).quantiles[0]
    assert list(band) == sorted(band)


def test_outcomes_that_are_not_known_yet_are_left_out() -> None:
    raw, truth = told(4000, spread=1.0)
    padded = np.concatenate([truth, np.full(10, np.nan, np.float32)])
    assert calibrate(np.concatenate([raw, raw[:10]]), padded) == calibrate(raw, truth)


def test_too_few_outcomes_leave_the_forecast_as_it_is() -> None:
    assert calibrate(*told(50, spread=1.8)) == Calibration()


def test_of_the_trees_share_all_is_believed_and_only_at_the_first_horizon() -> None:
    settings = ModelSettings(horizons=(1, 4, 24), shrink=0.5, trees=0.4)
    first, second, _ = untrained(settings)
    assert first.shrink == pytest.approx(0.6 * 0.5 + 0.4)
    assert second.shrink == untrained(settings.model_copy(update={"trees": 0.0}))[1].shrink


def test_the_location_is_shrunk_and_the_median_is_not() -> None:
    raw, _ = told(100, spread=1.0)
    found = distribution(raw, np.full(100, 0.01), Calibration(shrink=0.5))
    np.testing.assert_allclose(found.location, 0.5 * 0.01 * raw[:, 0])
    np.testing.assert_allclose(found.quantiles[:, 2], 0.01 * raw[:, 3].astype(np.float64), atol=1e-12)
