"""The linear forecasters are those of the textbooks."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.forecasters.shipped.linear import LinearHuber, LinearRidge
from tests.models.forecasters.shipped.samples import learnable, samples, world


def test_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge as Theirs

    panel = learnable()
    theirs = Theirs(alpha=1e-3 * len(panel)).fit(panel.standardised, panel.y)
    assert LinearRidge().fit(panel).predict(panel) == pytest.approx(theirs.predict(panel.standardised), abs=5e-4)


def test_huber_heeds_outliers_less_than_ridge() -> None:
    features, target = world(seed=3)
    wild = target.copy()
    wild[:40] = 60.0 * np.sign(features[:40, 2])
    truth = np.array([-0.15, 0.1, 0.0])
    errors = [np.abs(kind().fit(samples(features, wild)).weights_[:3] - truth).max() for kind in (LinearRidge, LinearHuber)]
    assert errors[1] < errors[0] / 3


def test_a_penalty_and_a_delta_are_heeded() -> None:
    panel = learnable()
    weights = [LinearHuber(penalty=p, delta=d).fit(panel).weights_ for p, d in ((0.0, 1.0), (100.0, 1.0), (0.0, 3.0))]
    assert np.abs(weights[1][:-1]).max() < np.abs(weights[0][:-1]).max() / 10
    assert not np.array_equal(weights[0], weights[2])
