"""All updates of one training in one compiled call, whatever the network: Keras' stateless pieces inside a loop of jax.

Sequences are gathered inside the call from one matrix of features, and the number of updates and their pace are known when it runs only, so
that all folds of a rolling window share one compilation.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.keras_networks.network import KERAS, Network, Values
from forwardtrader.models.forecasters.lstm import OUTPUTS
from forwardtrader.models.forecasters.trainer import (
    ADAM_MEAN,
    ADAM_SQUARE,
    GRADIENT_NORM,
    ROWS_GRID,
    WARM_UP_SHARE,
    TrainingPace,
    TrainingSpec,
    distribution_loss,
)
from forwardtrader.models.forecasters.xla import compiled, placed

UPDATES_GRID: Final = 64
Array: Any = Any


@dataclass(frozen=True)
class Trained:
    """What a training came to: the values of all variables, and the mean loss of its last sixth."""

    values: Values
    loss: float


class TrainingLoop:
    """Trains one network; safe to call from several threads at once.

    Args:
        training: its `burn_in` and `supervised` are those of the network's `supervision`.
        cache: where compiled code is kept.
    """

    def __init__(self, network: Network, training: TrainingSpec, cache: Path | None) -> None:
        import keras

        self.network = network
        self.training = training
        self._cache = cache
        learner = network.learner
        with KERAS:
            # The rate stands in a variable of the optimiser, where each update writes its own.
            self._optimizer = keras.optimizers.Adam(
                1.0, ADAM_MEAN, ADAM_SQUARE, 1e-8, weight_decay=training.weight_decay or None, global_clipnorm=GRADIENT_NORM
            )
            self._optimizer.build(learner.trainable_variables)
            self._moments = [np.asarray(v) for v in self._optimizer.variables]
        self._rate = next(n for n, v in enumerate(self._optimizer.variables) if v is self._optimizer.learning_rate)
        self._trained = network.of_learner(learner.trainable_variables)
        self._state = network.of_learner(learner.non_trainable_variables)
        linear = network.position("linear")
        self._shares = [training.skip_rate if place == linear else 1.0 for place in self._trained]
        self._runs: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()

    def fit(
        self, first: Values, features: NDArray[np.float32], targets: NDArray[np.float32], starts: NDArray[np.int32], pace: TrainingPace
    ) -> Trained:
        """Train from `first`.

        Args:
            features: [T, F], not scaled.
            targets: [T, H]; NaN where unknown.
            starts: int32 [updates, batch], first rows of the sequences.
        """
        import jax

        count, averaged = len(starts), self.training.averaged if pace.averaged is None else pace.averaged
        rows, room = -(-len(features) // ROWS_GRID) * ROWS_GRID, -(-count // UPDATES_GRID) * UPDATES_GRID
        run = self._compiled(rows, room, features.shape[1], targets.shape[1])
        steps = np.int32(count), np.float32(self.training.learning_rate * pace.rate), np.int32(min(int((1 - averaged) * count), count - 1))
        data = _filled(np.nan_to_num(features), rows), _filled(targets, rows), _filled(starts, room)
        trained, state, losses = run(*placed((*self._parts(first), self._moments, *data, *steps)))
        values = list(first)
        for places, found in ((self._trained, trained), (self._state, state)):
            for place, value in zip(places, jax.tree.map(np.asarray, found), strict=True):
                values[place] = value
        return Trained(tuple(values), float(np.asarray(losses)[count - max(count // 6, 1) : count].mean()))

    def _parts(self, values: Values) -> tuple[list[Any], list[Any]]:
        return [values[n] for n in self._trained], [values[n] for n in self._state]

    def _compiled(self, rows: int, room: int, features: int, horizons: int) -> Any:
        import jax

        shape: Any = jax.ShapeDtypeStruct
        with self._lock, KERAS:
            if (rows, room) not in self._runs:
                given = (*self._parts(self.network.initial(0)), self._moments)
                known = jax.tree.map(lambda x: shape(x.shape, x.dtype), given)
                data = shape((rows, features), np.float32), shape((rows, horizons), np.float32)
                steps = shape((room, self.training.batch), np.int32), shape((), np.int32), shape((), np.float32), shape((), np.int32)
                self._runs[rows, room] = compiled(self._train, *known, *data, *steps, cache=self._cache)
            return self._runs[rows, room]

    # --- inside the compiled call ---------------------------------------------------------------------------------------------------

    def _train(
        self, trained: Array, state: Array, moments: Array, features: Array, targets: Array, starts: Array, count: Array, rate: Array,
        averaged_from: Array,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """Adam at a steady rate after a warm-up; the mean of the weights over the last updates is what counts."""
        import jax
        from jax import numpy as jnp

        length = self.network.supervision.length

        def update(number: Array, carry: Any) -> Any:
            weights, state, moments, total, losses = carry
            rows = starts[number][:, None] + jnp.arange(length)
            lesson = features[rows], targets[rows[:, length - self.training.supervised :]]
            (loss, state), gradient = jax.value_and_grad(self._loss, has_aux=True)(weights, state, *lesson)
            now = rate * jnp.minimum(1.0, (number.astype(jnp.float32) + 1) / (WARM_UP_SHARE * count + 1))
            weights, moments = self._moved(weights, moments, gradient, now)
            kept = number >= averaged_from
            total = jax.tree.map(lambda sum_, w: sum_ + jnp.where(kept, w, 0.0), total, weights)
            return weights, state, moments, total, losses.at[number].set(loss)

        first = (trained, state, moments, jax.tree.map(jnp.zeros_like, trained), jnp.zeros(starts.shape[0], features.dtype))
        _, state, _, total, losses = jax.lax.fori_loop(0, count, update, first)
        return jax.tree.map(lambda sum_: sum_ / (count - averaged_from), total), state, losses

    def _loss(self, weights: Array, state: Array, inputs: Array, wanted: Array) -> tuple[Array, Array]:
        said, state, penalties = self.network.learner.stateless_call(weights, state, inputs, training=True, return_losses=True)
        raw = said.reshape(len(inputs), -1, wanted.shape[-1], OUTPUTS)[:, -self.training.supervised :]
        return distribution_loss(raw, wanted, self.training) + sum(penalties), list(state)

    def _moved(self, weights: Array, moments: Array, gradient: Array, rate: Array) -> tuple[Array, Array]:
        """The weights after one step of Keras' optimiser; the linear rule, which starts at its best, takes a share of it."""
        moments = [rate.astype(m.dtype) if n == self._rate else m for n, m in enumerate(moments)]
        moved, moments = self._optimizer.stateless_apply(moments, gradient, weights)
        steps = zip(weights, moved, self._shares, strict=True)
        return [new if share == 1.0 else old + share * (new - old) for old, new, share in steps], list(moments)


_LOOPS: Final[dict[tuple[int, TrainingSpec, Path | None], TrainingLoop]] = {}


def loop_of(network: Network, training: TrainingSpec, cache: Path | None) -> TrainingLoop:
    """The loop of this process for a network, which lives as long as it does."""
    key = (id(network), training, cache)
    with KERAS:
        if key not in _LOOPS:
            _LOOPS[key] = TrainingLoop(network, training, cache)
        return _LOOPS[key]


def _filled(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """With zeros up to so many rows, which no sequence reaches."""
    out = np.zeros((rows, *values.shape[1:]), values.dtype)
    out[: len(values)] = values
    return out
