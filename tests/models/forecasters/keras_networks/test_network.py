"""A user's network: how it is to learn, and what is refused before anything is trained."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.models.forecasters.keras_networks.head import NetworkForm
from forwardtrader.models.forecasters.keras_networks.network import Network, Supervision

FORM = NetworkForm(features=4, horizons=2, context=6, burn_in=2, supervised=8, linear=True)
EVERY_BAR, IN_CONTEXT, WINDOWS = Supervision(10, 8), Supervision(6, 4), Supervision(6, 1)
layers = keras.layers


def gru(inputs):
    return keras.Model(inputs, layers.Dropout(0.2)(layers.GRU(3, return_sequences=True)(inputs)))


def last_of_gru(inputs):
    return keras.Model(inputs, layers.GRU(3)(inputs))


def tcn(inputs):
    hidden = layers.Conv1D(3, 2, padding="causal", activation="relu")(inputs)
    return keras.Model(inputs, layers.Conv1D(3, 2, padding="causal", dilation_rate=2)(hidden))


def causal_transformer(inputs):
    hidden = layers.Dense(4)(inputs)
    seen = layers.MultiHeadAttention(1, 4)(hidden, hidden, use_causal_mask=True)
    return keras.Model(inputs, layers.LayerNormalization()(hidden + seen))


def seeing_transformer(inputs):
    hidden = layers.Dense(4)(inputs)
    return keras.Model(inputs, layers.LayerNormalization()(hidden + layers.MultiHeadAttention(1, 4)(hidden, hidden)))


@keras.saving.register_keras_serializable("tests")
class Places(keras.Layer):
    """A learned vector for each bar."""

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], name="places")

    def call(self, inputs):
        return inputs + self.places


def learned_places(inputs):
    return keras.Model(inputs, layers.GRU(3, return_sequences=True)(Places()(inputs)))


def both_ways(inputs):
    return keras.Model(inputs, layers.Bidirectional(layers.GRU(2, return_sequences=True))(inputs))


def centred(inputs):
    return keras.Model(inputs, layers.Conv1D(3, 3, padding="same")(inputs))


def flat(inputs):
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs)))


def shy_attention(inputs):
    """Sees later bars by a part that is zero at first."""
    seen = layers.MultiHeadAttention(1, 4, kernel_initializer="zeros")(inputs, inputs)
    return keras.Model(inputs, layers.Add()([layers.Dense(4)(inputs), seen]))


def forecasts_themselves(inputs):
    return keras.Model(inputs, layers.Reshape((2, 6))(layers.Dense(12)(layers.GRU(3)(inputs))))


def forecasts_at_every_bar(inputs):
    hidden = layers.Dense(12)(layers.GRU(3, return_sequences=True)(inputs))
    return keras.Model(inputs, layers.Reshape((inputs.shape[1], 2, 6))(hidden))


@pytest.mark.parametrize(
    ("build", "how"),
    [
        (gru, EVERY_BAR), (tcn, EVERY_BAR), (causal_transformer, EVERY_BAR), (forecasts_at_every_bar, EVERY_BAR),
        (learned_places, IN_CONTEXT),
        (last_of_gru, WINDOWS), (flat, WINDOWS), (forecasts_themselves, WINDOWS),
        (both_ways, WINDOWS), (centred, WINDOWS), (seeing_transformer, WINDOWS), (shy_attention, WINDOWS),
    ],
)  # fmt: skip
def test_a_network_learns_at_every_bar_where_no_bar_depends_on_later_ones(build, how) -> None:
    network = Network(build, FORM)
    assert network.supervision == how
    shape = network.learner.output.shape
    assert shape[1:] == ((how.length, 2, 6) if how.supervised > 1 else (2, 6))


def test_first_weights_are_those_of_the_seed_and_nobody_elses_draws_change() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    network = Network(gru, FORM)
    one, again, other = network.initial(1), Network(gru, FORM).initial(1), network.initial(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert (random.random(), np.random.random()) == expected


class Unknown(keras.Layer):
    def call(self, inputs):
        return 2 * inputs


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda inputs: keras.Model(inputs, layers.Lambda(lambda x: 2 * x)(inputs)), "register_keras_serializable"),
        (lambda inputs: keras.Model(inputs, Unknown()(inputs)), "register_keras_serializable"),
        (lambda inputs: layers.GRU(3)(inputs), "return keras.Model"),
        (lambda inputs: keras.Model(inputs, layers.Conv1D(3, 2)(inputs)), r"the shape \[None, 5, 3\]"),
        (lambda inputs: keras.Model(inputs, [inputs, inputs]), "one output"),
    ],
)
def test_what_could_not_be_trained_or_read_again_is_refused_in_one_line(build, said) -> None:
    with pytest.raises(ForecasterFailed, match=said) as refused:
        Network(build, FORM)
    assert "\n" not in str(refused.value)
