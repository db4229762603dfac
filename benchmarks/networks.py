"""Networks as a user builds them with Keras, for comparisons."""

from __future__ import annotations

import keras

from forwardtrader import KerasForecaster


def gru(inputs: keras.KerasTensor, units: int = 48) -> keras.Model:
    """A recurrent layer with gates (Cho et al. 2014)."""
    hidden = keras.layers.GRU(units, return_sequences=True)(inputs)
    return keras.Model(inputs, keras.layers.Dropout(0.2)(hidden))


def tcn(inputs: keras.KerasTensor, filters: int = 32) -> keras.Model:
    """Causal convolutions of growing reach, 15 bars in all (Bai, Kolter and Koltun 2018)."""
    x = keras.layers.Dense(filters)(inputs)
    for reach in (1, 2, 4):
        y = keras.layers.Conv1D(filters, 3, padding="causal", dilation_rate=reach, activation="relu")(x)
        x = keras.layers.Add()([x, keras.layers.Dropout(0.2)(y)])
    return keras.Model(inputs, x)


GRU = KerasForecaster(gru)
TCN = KerasForecaster(tcn)
