"""The fast trainer against Keras's own layer, and the promises that folds rest on."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from forwardtrader.models.features.sequences import LEAST_UPDATES, draw_starts, updates_per_fold
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, load, network, predict, save
from forwardtrader.models.forecasters.recurrent import recurrent_layer
from forwardtrader.models.forecasters.trainer import Fit, Trainer, TrainingSpec, initial_weights
from forwardtrader.models.forecasters.xla import prepare_jax

SPEC = LstmSpec(features=5, units=8, horizons=2, context=12)
TRAINING = TrainingSpec(
    burn_in=4, supervised=8, batch=4, dropout=0.1, learning_rate=1e-2, weight_decay=0.0, huber_delta=1.0, horizon_weights=(1.0, 1.0)
)


def ensemble(seeds: int = 2) -> Ensemble:
    rng = np.random.default_rng(5)
    members = [initial_weights(SPEC, s) for s in range(seeds)]
    for m in members:
        m["skip"] = rng.standard_normal(m["skip"].shape).astype(np.float32)
    return Ensemble(SPEC, np.full(5, 0.5, np.float32), np.full(5, 2.0, np.float32), tuple(members))


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


def test_hidden_states_and_gradients_agree_with_the_keras_layer() -> None:
    prepare_jax()
    import jax
    import keras
    from jax import numpy as jnp

    weights = initial_weights(SPEC, 3)
    layer = keras.layers.LSTM(SPEC.units, return_sequences=True)
    inputs = np.random.default_rng(1).standard_normal((4, 12, 5)).astype(np.float32)
    layer.build(inputs.shape)
    layer.set_weights([weights["kernel"], weights["recurrent"], weights["bias"]])
    trainable = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    pull = np.random.default_rng(2).standard_normal((4, 12, 8)).astype(np.float32)

    def keras_loss(kernel, recurrent, bias, x):
        return (layer.stateless_call([kernel, recurrent, bias], others, x)[0] * pull).sum()

    def our_loss(kernel, recurrent, bias, x):
        hidden = recurrent_layer()(jnp.concatenate([kernel, recurrent]), bias, x.transpose(1, 0, 2))
        return (hidden.transpose(1, 0, 2) * pull).sum()

    every = (0, 1, 2, 3)
    theirs, their_gradients = jax.value_and_grad(keras_loss, every)(*trainable, inputs)
    ours, our_gradients = jax.value_and_grad(our_loss, every)(*trainable, jnp.asarray(inputs))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    for mine, reference in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-5)


def test_a_saved_model_forecasts_as_keras_itself_does(tmp_path) -> None:
    prepare_jax()
    import keras

    model = ensemble()
    save(model, tmp_path / "model.keras", tmp_path / "templates")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    features = np.random.default_rng(4).standard_normal((40, 5)).astype(np.float32)
    rows = np.arange(11, 40)
    windows = np.stack([features[r - 11 : r + 1] for r in rows])
    np.testing.assert_allclose(predict(model, features, rows).mean(axis=1), loaded.predict(windows, verbose=0), atol=1e-6)


def test_a_loaded_model_gives_the_forecasts_of_the_saved_one_to_the_bit(tmp_path) -> None:
    prepare_jax()
    model = ensemble()
    save(model, tmp_path / "model.keras", tmp_path / "templates")
    again = load(tmp_path / "model.keras")
    features = np.random.default_rng(4).standard_normal((40, 5)).astype(np.float32)
    np.testing.assert_array_equal(predict(model, features, np.arange(11, 40)), predict(again, features, np.arange(11, 40)))


def test_one_row_forecasts_the_same_bits_as_many() -> None:
    prepare_jax()
    model = ensemble()
    features = np.random.default_rng(4).standard_normal((200, 5)).astype(np.float32)
    together = predict(model, features, np.arange(11, 200))
    for row in (11, 50, 77, 199):
        np.testing.assert_array_equal(predict(model, features[row - 11 : row + 1], np.array([11]))[0], together[row - 11])


def test_training_finds_a_linear_rule() -> None:
    assert fit(0).loss < 0.6 * 0.5 * 0.25


def test_training_twice_with_one_seed_gives_the_same_bits() -> None:
    first, second, other = fit(1), fit(1), fit(2)
    np.testing.assert_array_equal(first.weights["kernel"], second.weights["kernel"])
    assert not np.array_equal(first.weights["kernel"], other.weights["kernel"])


def test_keras_file_layout_is_the_one_that_saving_fills(tmp_path) -> None:
    prepare_jax()
    built = network(SPEC, 3)
    assert built.input_shape == (None, 12, 5)
    assert built.output_shape == (None, 2, 6)


def test_updates_are_worth_the_epochs_asked_for_and_never_too_few() -> None:
    assert updates_per_fold(17_520, stride=64, batch=16, epochs=6) == round(17_520 * 6 / (64 * 16))
    assert updates_per_fold(300, stride=64, batch=16, epochs=6) == LEAST_UPDATES


def test_sequences_stay_inside_their_segments_and_cover_them() -> None:
    segments = [(100, 200), (500, 740)]
    starts = draw_starts(segments, length=20, stride=10, batch=8, updates=30, seed=0)
    assert starts.shape == (30, 8)
    inside = [any(first <= s and s + 20 <= last for first, last in segments) for s in starts.ravel()]
    assert all(inside)
    covered = {row for s in starts.ravel() for row in range(s, s + 20)}
    assert covered == set(range(100, 200)) | set(range(500, 740))
