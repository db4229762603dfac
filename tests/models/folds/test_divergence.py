"""A training that ended nowhere is told from one that learned nothing."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.core.errors import TrainingDiverged
from forwardtrader.models.folds.divergence import mean_loss, require_learned

TRUTH = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
CONSTANT = np.broadcast_to(np.array([0, -1.6, -0.7, 0, 0.7, 1.6], np.float32), (300, 2, 6))


def test_forecasts_that_know_nothing_are_no_divergence() -> None:
    require_learned(CONSTANT, TRUTH)
    require_learned(CONSTANT + np.random.default_rng(1).normal(size=(300, 2, 1)).astype(np.float32), TRUTH)


@pytest.mark.parametrize("harm", [np.nan, np.inf, 1e4, -1e4])
def test_forecasts_far_from_any_outcome_are(harm: float) -> None:
    raw = CONSTANT.copy()
    raw[:, 1] += np.float32(harm)
    with pytest.raises(TrainingDiverged, match="diverged") as caught:
        require_learned(raw, TRUTH)
    assert caught.value.exit_code == 2


def test_the_loss_is_that_of_the_trainer() -> None:
    from jax import numpy as jnp

    from forwardtrader.core.settings import ModelSettings
    from forwardtrader.models.folds.training import training_spec
    from forwardtrader.models.forecasters.trainer import distribution_loss

    raw = np.sort(np.random.default_rng(2).normal(size=(300, 2, 6)), axis=-1).astype(np.float32)
    theirs = distribution_loss(jnp.asarray(raw), jnp.asarray(TRUTH), training_spec(ModelSettings(horizons=(1, 4))))
    assert mean_loss(raw, TRUTH) == pytest.approx(float(theirs), rel=1e-4)
