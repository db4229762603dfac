"""A Keras network of one's own: `python run_backtest.py --from 2024-01-01 --set models.forecaster=examples/keras_gru.py:gru`."""

import keras

from forwardtrader import KerasForecaster


def build(inputs: keras.KerasTensor, units: int = 24) -> keras.Model:
    hidden = keras.layers.GRU(units, return_sequences=True)(inputs)
    return keras.Model(inputs, keras.layers.Dropout(0.2)(hidden))


gru = KerasForecaster(build)
