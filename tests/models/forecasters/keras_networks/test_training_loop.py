"""The loop that trains any network trains an LSTM as the trainer of the LSTM does."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from forwardtrader.models.forecasters.keras_networks.head import NetworkForm
from forwardtrader.models.forecasters.keras_networks.network import Network
from forwardtrader.models.forecasters.keras_networks.training_loop import TrainingLoop
from forwardtrader.models.forecasters.lstm import LstmSpec
from forwardtrader.models.forecasters.trainer import Trainer, TrainingPace, TrainingSpec
from tests.models.forecasters.keras_networks.samples import samples

UNITS, UPDATES = 5, 6
TRAINING = TrainingSpec(
    burn_in=2, supervised=8, batch=4, dropout=0.0, learning_rate=0.02, weight_decay=0.01, huber_delta=1.0, horizon_weights=(1.0, 0.5),
    averaged=0.5, skip_rate=0.1,
)  # fmt: skip


def lstm(inputs):
    return keras.Model(inputs, keras.layers.LSTM(UNITS, return_sequences=True)(inputs))


@pytest.mark.parametrize("pace", [TrainingPace(), TrainingPace(rate=0.5, averaged=1.0)])
def test_an_lstm_is_trained_as_by_its_own_trainer(pace: TrainingPace) -> None:
    panel, horizons = samples(200), 2
    network = Network(lstm, NetworkForm(features=4, horizons=horizons, context=6, burn_in=2, supervised=8, linear=True))
    mean, std = panel.features.mean(axis=0), panel.features.std(axis=0)
    first = network.placed(network.initial(3), mean=mean, variance=std**2)
    starts = np.random.default_rng(0).integers(0, 180, (UPDATES, 4)).astype(np.int32)
    found = TrainingLoop(network, TRAINING, None).fit(first, panel.features, panel.targets, starts, pace)

    trainer = Trainer(LstmSpec(features=4, units=UNITS, horizons=horizons, context=6), TRAINING, panel.features, panel.targets)
    theirs = trainer.fit(starts, mean, std, seed=3, first=_as_theirs(network, first), pace=pace)
    for name, value in _as_theirs(network, found.values).items():
        np.testing.assert_allclose(value, theirs.weights[name], atol=3e-3, err_msg=name)
    assert found.loss == pytest.approx(theirs.loss, rel=1e-3)


def _as_theirs(network: Network, values: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    by_name = {variable.path: value for variable, value in zip(network.variables, values, strict=True)}
    parts = {name: next(v for path, v in by_name.items() if path.endswith(name)) for name in ("lstm_cell/kernel", "recurrent_kernel")}
    head = {name: by_name[name] for name in by_name if name.split("/")[0] in ("first_horizon", "other_horizons", "linear")}
    return {
        "kernel": parts["lstm_cell/kernel"],
        "recurrent": parts["recurrent_kernel"],
        "bias": next(v for path, v in by_name.items() if path.endswith("lstm_cell/bias")),
        "head": np.concatenate([head["first_horizon/kernel"], head["other_horizons/kernel"]], axis=1),
        "skip": head["linear/kernel"],
        "head_bias": np.concatenate([head["first_horizon/bias"], head["other_horizons/bias"]]),
    }
