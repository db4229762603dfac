"""Each rule does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.forecasters.shipped.rules import Majority, Momentum, Reversal, Zero
from tests.models.forecasters.shipped.samples import learnable, samples, world


def test_zero_says_nothing() -> None:
    assert not Zero().fit(learnable(500)).predict(learnable(500)).any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_majority_says_the_direction_that_was_more_frequent(sign: float) -> None:
    features, target = world(501)
    tilted = (np.abs(target) * np.where(np.arange(501) % 3 == 0, -sign, sign)).astype(np.float32)
    panel = samples(features, tilted)
    assert set(np.sign(Majority().fit(panel).predict(panel))) == {sign}


def test_reversal_and_momentum_never_turn_round() -> None:
    features, target = world()
    against = samples(features, -target)
    assert (np.sign(Reversal().fit(against).predict(against)) == -np.sign(against.standardised[:, 0])).all()
    assert (np.sign(Momentum().fit(against).predict(against)) == np.sign(against.standardised[:, 1])).all()
