"""How else a network of the same shape is trained: one window of bars per target, in Keras or in torch, as their guides teach it.

Shape: LSTM, dropout, a dense head over the last hidden state plus a linear skip from the last bar's features. Loss: that of our trainer.
Both get windows that are already cut and scaled, and start compiled; the time counted is that of the epochs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.types import QUANTILES

OUTPUTS: Final = 6
BATCH: Final = 256
Floats32 = NDArray[np.float32]
# After each epoch: seconds of training so far, and what the network says of the later windows (location at the first horizon).
Epochs = Iterator[tuple[float, Floats32]]
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Windows float32 [N, W, F] and targets [N, H] to learn from, and windows to forecast afterwards."""

    windows: Floats32
    targets: Floats32
    later: Floats32
    units: int
    dropout: float
    delta: float
    learning_rate: float
    epochs: int
    seed: int


def cut_windows(features: Floats32, rows: NDArray[np.int64], length: int) -> Floats32:
    """The `length` bars that end with each of `rows`: float32 [N, length, F]."""
    return np.ascontiguousarray(features[rows[:, None] + np.arange(1 - length, 1)[None, :]])


def keras_epochs(task: Task, clock: Clock) -> Epochs:
    """`keras.Model.fit`, jax backend, one epoch after the other."""
    import keras

    keras.utils.set_random_seed(task.seed)
    model = _keras_model(task)
    first = model.get_weights()
    few = 2 * BATCH + len(task.windows) % BATCH  # a full batch and the last one of an epoch, so that both are compiled
    model.fit(task.windows[:few], task.targets[:few], batch_size=BATCH, epochs=1, verbose=0)
    model.set_weights(first)
    for variable in model.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(keras.ops.zeros_like(variable.value))
    seconds = 0.0
    for _ in range(task.epochs):
        began = clock()
        model.fit(task.windows, task.targets, batch_size=BATCH, epochs=1, verbose=0)
        seconds += clock() - began
        yield seconds, model.predict(task.later, batch_size=BATCH, verbose=0)[:, 0]


def _keras_model(task: Task) -> Any:
    import keras
    from keras import ops

    horizons = task.targets.shape[1]
    inputs = keras.Input(task.windows.shape[1:])
    hidden = keras.layers.Dropout(task.dropout, seed=task.seed)(keras.layers.LSTM(task.units)(inputs))
    head = keras.layers.Dense(horizons * OUTPUTS)(hidden)
    skip = keras.layers.Dense(horizons * OUTPUTS, use_bias=False)(inputs[:, -1])
    model = keras.Model(inputs, keras.layers.Add()([head, skip]))

    def loss(truth: Any, said: Any) -> Any:
        raw = ops.reshape(said, (-1, horizons, OUTPUTS))
        miss = ops.abs(truth - raw[..., 0])
        huber = ops.where(miss < task.delta, 0.5 * miss * miss / task.delta, miss - 0.5 * task.delta)
        over = truth[..., None] - raw[..., 1:]
        levels = ops.convert_to_tensor(QUANTILES, dtype="float32")
        return ops.mean(huber + ops.mean(ops.maximum(levels * over, (levels - 1) * over), -1), -1)

    model.compile(optimizer=keras.optimizers.Adam(task.learning_rate), loss=loss)
    return model


def torch_epochs(task: Task, threads: int, clock: Clock) -> Epochs:
    """`torch.nn.LSTM` in the usual loop over a `DataLoader`."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(threads)
    torch.manual_seed(task.seed)
    model = _torch_model(task)
    later = torch.from_numpy(task.later)
    loss_of = _torch_loss(task)
    optimiser = torch.optim.Adam(model.parameters(), lr=task.learning_rate)
    loader = DataLoader(TensorDataset(torch.from_numpy(task.windows), torch.from_numpy(task.targets)), batch_size=BATCH, shuffle=True)
    seconds = 0.0
    for _ in range(task.epochs):
        began = clock()
        model.train()
        for windows, targets in loader:
            optimiser.zero_grad()
            loss_of(model(windows), targets).backward()
            optimiser.step()
        seconds += clock() - began
        model.eval()
        with torch.no_grad():
            yield seconds, model(later)[:, 0].numpy()


def _torch_model(task: Task) -> Any:
    import torch

    features, outputs = task.windows.shape[2], task.targets.shape[1] * OUTPUTS

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(features, task.units, batch_first=True)
            self.dropout = torch.nn.Dropout(task.dropout)
            self.head = torch.nn.Linear(task.units, outputs)
            self.skip = torch.nn.Linear(features, outputs, bias=False)

        def forward(self, windows: Any) -> Any:
            hidden, _ = self.lstm(windows)
            return self.head(self.dropout(hidden[:, -1])) + self.skip(windows[:, -1])

    return Network()


def _torch_loss(task: Task) -> Callable[[Any, Any], Any]:
    import torch

    levels, horizons = torch.tensor(QUANTILES), task.targets.shape[1]

    def loss(said: Any, truth: Any) -> Any:
        raw = said.reshape(-1, horizons, OUTPUTS)
        miss = (truth - raw[..., 0]).abs()
        huber = torch.where(miss < task.delta, 0.5 * miss * miss / task.delta, miss - 0.5 * task.delta)
        over = truth[..., None] - raw[..., 1:]
        return (huber + torch.maximum(levels * over, (levels - 1) * over).mean(-1)).mean()

    return loss
