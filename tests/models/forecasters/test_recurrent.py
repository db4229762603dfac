"""The recurrent layer against the LSTM of Keras."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.models.forecasters.lstm import LstmSpec
from forwardtrader.models.forecasters.recurrent import recurrent_layer
from forwardtrader.models.forecasters.trainer import initial_weights
from forwardtrader.models.forecasters.xla import prepare_jax

SPEC = LstmSpec(features=5, units=8, horizons=2, context=12)


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
