"""A network that the user builds with Keras, against the LSTM's own trainer and against `keras.Model.fit`, fold by fold in turn.

    python -m benchmarks.training.own_networks [--data FILE] [--folds 6]

The same folds, features, targets and days for all, one core, processor time. Both of ours are whole folds as a run makes them: linear rule,
training, calibration, forecasts. `model.fit` counts its epochs alone, with windows cut beforehand: the same network for as many passes as
ours make over the window, compiled before. GRU, TCN and transformer are given the parameters that an own network has unless told otherwise.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.training.case import SYMBOL, Case, case, huber
from benchmarks.training.rivals import Task, cut_windows, keras_epochs
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.folds.fitting import fit_fold
from forwardtrader.models.folds.training import FoldResult, updates
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.forecasters.compiled_code import keep_in
from forwardtrader.models.forecasters.keras_networks.forecaster import KerasForecaster
from forwardtrader.models.forecasters.keras_networks.lstm_forecaster import LSTMForecaster
from forwardtrader.models.port.base_forecaster import BaseForecaster

ACCELERATED: Final = "the LSTM, its own trainer"
# Seconds of a network, and its mean loss on the bars after the window.
Found = tuple[float, float]
Contender = Callable[[int], Found]


def lstm(inputs: Any, units: int, dropout: float) -> Any:
    import keras

    hidden = keras.layers.LSTM(units, return_sequences=True)(inputs)
    return keras.Model(inputs, keras.layers.Dropout(dropout)(hidden))


def gru(inputs: Any) -> Any:
    import keras

    return keras.Model(inputs, keras.layers.Dropout(0.2)(keras.layers.GRU(48, return_sequences=True)(inputs)))


def tcn(inputs: Any) -> Any:
    import keras

    hidden = inputs
    for dilation in (1, 2, 4, 8):
        hidden = keras.layers.Conv1D(32, 2, padding="causal", dilation_rate=dilation, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dropout(0.2)(hidden))


def transformer(inputs: Any) -> Any:
    import keras

    hidden = keras.layers.Dense(32)(inputs)
    seen = keras.layers.MultiHeadAttention(2, 16)(hidden, hidden, use_causal_mask=True)
    hidden = keras.layers.LayerNormalization()(keras.layers.Add()([hidden, seen]))
    further = keras.layers.Dense(32)(keras.layers.Dense(64, activation="relu")(hidden))
    return keras.Model(inputs, keras.layers.Dropout(0.2)(keras.layers.LayerNormalization()(keras.layers.Add()([hidden, further]))))


def contenders(given: Case) -> dict[str, Contender]:
    """By name what trains one fold and says what a network of it took and lost."""
    settings, usual = given.settings, ModelSettings()
    same = {name: getattr(settings, name) for name in ("epochs", "averaged", "learning_rate")}
    shape = {"units": usual.units, "dropout": usual.dropout}
    work = FoldWork(given.panel, settings, "1h", Path(tempfile.mkdtemp()))
    keep_in(work.cache)
    own = {
        "the LSTM, through the port": LSTMForecaster(trees=0.0),
        "the same network, `KerasForecaster`": KerasForecaster(lstm, options=shape, **same),
        "GRU": KerasForecaster(gru),
        "TCN": KerasForecaster(tcn),
        "transformer": KerasForecaster(transformer),
    }
    found: dict[str, Contender] = {ACCELERATED: lambda number: _of_fold(given, number, lambda: _accelerated(given, work, number))}
    found |= {name: _through_the_port(given, forecaster) for name, forecaster in own.items()}
    return found | {"the same network, `keras.Model.fit`": lambda number: _fit(given, number)}


def _accelerated(given: Case, work: FoldWork, number: int) -> FoldResult:
    fold, settings = given.folds[number], given.settings
    window = settings.train_window.days * 24 - max(settings.horizons) - settings.embargo
    return train_one(work, FoldTask(fold, "benchmark", updates(settings, fold, window)))


def _through_the_port(given: Case, forecaster: BaseForecaster) -> Contender:
    def train(number: int) -> Found:
        fold, own = given.folds[number], copy.deepcopy(forecaster)
        return _of_fold(given, number, lambda: fit_fold(own, given.panel, fold, given.settings, identity="b", timeframe="1h"))

    return train


def _of_fold(given: Case, number: int, train: Callable[[], FoldResult]) -> Found:
    began = time.process_time()
    raw = train().raw[SYMBOL][..., 0, 0]
    seconds, members = time.process_time() - began, raw.shape[1]
    rows = given.later_rows(number)
    said, truth = raw[rows - given.fold(number).effective_first], given.panel.targets[rows, 0]
    return seconds / members, float(np.mean([huber(said[:, m], truth, given.settings.huber_delta).mean() for m in range(members)]))


def _fit(given: Case, number: int) -> Found:
    settings, features, truth = given.settings, given.scaled(number), given.panel.targets
    rows, later = given.train_rows(number), given.later_rows(number)
    rows = rows[np.isfinite(truth[rows]).all(axis=1) & (rows >= settings.context)]
    task = Task(
        windows=cut_windows(features, rows, settings.context), targets=truth[rows], later=cut_windows(features, later, settings.context),
        units=settings.units, dropout=settings.dropout, delta=settings.huber_delta, learning_rate=1e-3, epochs=settings.epochs, seed=number,
    )  # fmt: skip
    *_, (seconds, said) = keras_epochs(task, time.process_time)
    return seconds, float(huber(said, truth[later, 0], settings.huber_delta).mean())


def table(found: Mapping[str, Sequence[Found]]) -> str:
    """Medians over folds of what a network takes, and mean losses with the standard error of their distance."""
    first = np.array(found[ACCELERATED])
    lines = ["| | s per network | of the first | loss on later bars | above the first (standard error) |", "|---|---|---|---|---|"]
    for name, each in found.items():
        own = np.array(each)
        above, ratio = own[:, 1] - first[:, 1], float(np.median(own[:, 0] / first[:, 0]))
        error = above.std(ddof=1) / len(above) ** 0.5 if len(above) > 1 else float("nan")
        lines.append(f"| {name} | {np.median(own[:, 0]):.3f} | {ratio:.2f} | {own[:, 1].mean():.5f} | {above.mean():+.5f} ({error:.5f}) |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="hourly candles of BTC/USDT; the sample market without")
    parser.add_argument("--folds", type=int, default=6, help="of the main job's calendar, evenly spread")
    said = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    given = case(said.data, said.folds, units=ModelSettings().units, seeds=ModelSettings().seeds)
    everyone = contenders(given)
    for train in everyone.values():  # compiles
        train(0)
    found: dict[str, list[Found]] = {name: [] for name in everyone}
    for number in range(len(given.folds)):
        for name, train in everyone.items():
            found[name].append(train(number))
    print(
        f"{platform.machine()}, one core, load {os.getloadavg()[0]:.1f}; {len(given.folds)} of {given.calendar_folds} folds in turn, "
        f"{given.settings.seeds} networks each\n"
    )
    print(table(found))


if __name__ == "__main__":
    main()
