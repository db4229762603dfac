"""The network: its Keras file, and the same bits however many rows are forecast."""

from __future__ import annotations

import numpy as np

from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, load, network, predict, save
from forwardtrader.models.forecasters.trainer import initial_weights
from forwardtrader.models.forecasters.xla import prepare_jax

SPEC = LstmSpec(features=5, units=8, horizons=2, context=12)


def ensemble(seeds: int = 2) -> Ensemble:
    rng = np.random.default_rng(5)
    members = [initial_weights(SPEC, s) for s in range(seeds)]
    for m in members:
        m["skip"] = rng.standard_normal(m["skip"].shape).astype(np.float32)
    return Ensemble(SPEC, np.full(5, 0.5, np.float32), np.full(5, 2.0, np.float32), tuple(members))


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


def test_keras_file_layout_is_the_one_that_saving_fills(tmp_path) -> None:
    prepare_jax()
    built = network(SPEC, 3)
    assert built.input_shape == (None, 12, 5)
    assert built.output_shape == (None, 2, 6)
