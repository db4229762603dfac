"""The fast trainer against Keras's own layer, and the promises that folds rest on."""

from __future__ import annotations

import functools

import numpy as np

from forwardtrader.models.features.sequences import draw_starts
from forwardtrader.models.forecasters.lstm import LstmSpec
from forwardtrader.models.forecasters.trainer import Fit, Trainer, TrainingSpec

SPEC = LstmSpec(features=5, units=8, horizons=2, context=12)
TRAINING = TrainingSpec(
    burn_in=4, supervised=8, batch=4, dropout=0.1, learning_rate=1e-2, weight_decay=0.0, huber_delta=1.0, horizon_weights=(1.0, 1.0)
)


@functools.cache
def trainer() -> Trainer:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 5)).astype(np.float32)
    targets = np.stack([0.5 * features[:, 0], 0.5 * features[:, 1]], axis=1).astype(np.float32)
    targets[390:] = np.nan
    return Trainer(SPEC, TRAINING, features, targets)


def fit(seed: int) -> Fit:
    starts = draw_starts([(0, 390)], length=12, stride=8, batch=4, updates=72, seed=seed)
    return trainer().fit(starts, np.zeros(5, np.float32), np.ones(5, np.float32), seed=seed)


def test_training_finds_a_linear_rule() -> None:
    assert fit(0).loss < 0.6 * 0.5 * 0.25


def test_training_twice_with_one_seed_gives_the_same_bits() -> None:
    first, second, other = fit(1), fit(1), fit(2)
    np.testing.assert_array_equal(first.weights["kernel"], second.weights["kernel"])
    assert not np.array_equal(first.weights["kernel"], other.weights["kernel"])
