"""The trainer: all epochs of one fold in one compiled call, equal to training a Keras LSTM.

The recurrent layer has its own reverse rule, which keeps the gates of the forward pass and turns the weight gradient into one matrix
product. Sequences are gathered inside the compiled call from one feature matrix that is shared by all folds, so nothing is copied
per batch and nothing is compiled anew per fold. Loss: Huber on the location plus the mean pinball loss of five quantiles, at every step
after the burn-in.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.threads import once, one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.lstm import OUTPUTS, LstmSpec, Weights
from forwardtrader.models.forecasters.recurrent import recurrent_layer
from forwardtrader.models.forecasters.xla import compiled, placed, prepare_jax

Array: Any = Any

ADAM_MEAN: Final = 0.9
ADAM_SQUARE: Final = 0.99
WARM_UP_SHARE: Final = 0.05
GRADIENT_NORM: Final = 1.0
ROWS_GRID: Final = 8192


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """How a network is fitted; part of the fingerprint of a model."""

    burn_in: int
    supervised: int
    batch: int
    dropout: float
    learning_rate: float
    weight_decay: float
    huber_delta: float
    horizon_weights: tuple[float, ...]
    averaged: float = 0.5
    skip_rate: float = 1.0

    @property
    def length(self) -> int:
        """Rows of one training sequence."""
        return self.burn_in + self.supervised


@dataclass(frozen=True)
class TrainingPace:
    """How the updates of one call move: `rate` times the usual step, and the mean of the last share `averaged` of the weights is kept."""

    rate: float = 1.0
    averaged: float | None = None


@dataclass(frozen=True)
class Fit:
    """A trained member: its weights and its mean loss over the last epoch."""

    weights: Weights
    loss: float


USUAL: Final = TrainingPace()


class Trainer:
    """Fits networks of one shape on one panel; safe to call from several threads at once.

    Args:
        features: float32 [T, F], unscaled; rows that are not finite must not lie inside a training segment.
        targets: float32 [T, H]; NaN where unknown.
    """

    def __init__(
        self,
        spec: LstmSpec,
        training: TrainingSpec,
        features: NDArray[np.float32],
        targets: NDArray[np.float32],
        *,
        cache: Path | None = None,
    ) -> None:
        prepare_jax(cache)
        self.spec = spec
        self.training = training
        self._cache = cache
        rows = -(-len(features) // ROWS_GRID) * ROWS_GRID
        self._features = placed(_padded(np.nan_to_num(features), rows, 0.0))
        self._targets = placed(_padded(targets, rows, np.nan))

    def compile(self, updates: int) -> None:
        """Compile once for up to so many updates, before several threads ask for it."""
        self._compiled(updates)

    def fit(
        self,
        starts: NDArray[np.int32],
        mean: NDArray[np.float32],
        std: NDArray[np.float32],
        *,
        seed: int,
        first: Mapping[str, NDArray[np.float32]] | None = None,
        pace: TrainingPace = USUAL,
        room: int = 0,
    ) -> Fit:
        """Train one member.

        Args:
            starts: int32 [updates, batch], first rows of the sequences.
            mean: float32 [F], subtracted from each feature.
            std: float32 [F], what each feature is divided by.
            seed: of the first weights and of the dropout.
            first: weights to begin with in place of the seed's, by name.
            room: the number of updates that `compile` was asked for, where these are fewer.
        """
        import jax

        count, room = len(starts), max(room, len(starts))
        first = initial_weights(self.spec, seed) | dict(first or {})
        kept = self.training.averaged if pace.averaged is None else pace.averaged
        steps = (np.int32(count), np.float32(self.training.learning_rate * pace.rate), np.int32(min(int((1 - kept) * count), count - 1)))
        run, noise = self._compiled(room), self._noise(count, room, seed)
        first, rest = placed((first, (_filled(starts, room), mean, std, noise, *steps)))
        weights, losses = run(first, self._features, self._targets, *rest)
        weights = jax.tree.map(np.asarray, weights)
        tail = max(count // 6, 1)
        return Fit(weights, float(np.mean(np.asarray(losses)[count - tail : count])))

    def _noise(self, updates: int, room: int, seed: int) -> NDArray[np.uint8]:
        """A random byte for each hidden state of each update: drawn here, as counter-based draws cost as much as a step of the network."""
        shape = (updates, self.training.supervised, self.training.batch, self.spec.units)
        drawn = np.frombuffer(np.random.default_rng([seed, 1]).bytes(int(np.prod(shape))), dtype=np.uint8)
        return _filled(drawn.reshape(shape), room)

    def _compiled(self, updates: int) -> Any:
        return _compiled_training(self.spec, self.training, len(self._features), updates, self._cache)


@once
def _compiled_training(spec: LstmSpec, training: TrainingSpec, rows: int, updates: int, cache: Path | None) -> Any:
    """For all trainers of the process whose matrices have so many rows."""
    import jax

    shape: Any = jax.ShapeDtypeStruct
    f32, i32 = np.float32, np.int32
    weights = jax.tree.map(lambda x: shape(x.shape, x.dtype), initial_weights(spec, 0))
    run = functools.partial(_train, spec=spec, training=training)
    return compiled(
        run,
        weights,
        shape((rows, spec.features), f32),
        shape((rows, spec.horizons), f32),
        shape((updates, training.batch), i32),
        shape((spec.features,), f32),
        shape((spec.features,), f32),
        shape((updates, training.supervised, training.batch, spec.units), np.uint8),
        shape((), i32),
        shape((), f32),
        shape((), i32),
        cache=cache,
    )


def initial_weights(spec: LstmSpec, seed: int) -> Weights:
    """Glorot-uniform kernel and head, orthogonal recurrent kernel, forget gate open (Keras's defaults), skip at zero."""
    rng = np.random.default_rng(seed)
    units, outputs = spec.units, spec.outputs
    with one_thread():
        recurrent = np.linalg.qr(rng.standard_normal((4 * units, units)))[0].T
    bias = np.zeros(4 * units)
    bias[units : 2 * units] = 1.0
    weights = {
        "kernel": _glorot(rng, spec.features, 4 * units),
        "recurrent": recurrent,
        "bias": bias,
        "head": 0.5 * _glorot(rng, units, outputs),
        "skip": np.zeros((spec.features, outputs)),
        "head_bias": np.zeros(outputs),
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def _glorot(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    bound = np.sqrt(6.0 / (rows + columns))
    return rng.uniform(-bound, bound, (rows, columns))


def _padded(values: NDArray[np.float32], rows: int, fill: float) -> NDArray[np.float32]:
    out = np.full((rows, values.shape[1]), fill, dtype=np.float32)
    out[: len(values)] = values
    return out


def _filled(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """With zeros up to so many rows, which nobody reads."""
    if len(values) == rows:
        return values
    out = np.zeros((rows, *values.shape[1:]), values.dtype)
    out[: len(values)] = values
    return out


# --- inside the compiled call -------------------------------------------------------------------------------------------------------


def _train(
    weights: Array, features: Array, targets: Array, starts: Array, mean: Array, std: Array, noise: Array, count: Array, rate: Array,
    averaged_from: Array, *, spec: LstmSpec, training: TrainingSpec,
) -> tuple[Array, Array]:  # fmt: skip
    """Adam at a steady `rate`; what counts is the mean of the weights over the last updates (Polyak and Juditsky 1992).

    The number of updates is known when it runs only, so that long and short trainings share one compilation.
    """
    import jax
    from jax import numpy as jnp
    from jax.flatten_util import ravel_pytree

    # One flat vector: a handful of operations move all weights at once.
    start, unravel = ravel_pytree(weights)
    share = ravel_pytree({name: jnp.full_like(w, training.skip_rate if name == "skip" else 1.0) for name, w in weights.items()})[0]

    def update(number: Array, carry: Any) -> Any:
        flat, mean_gradient, square_gradient, total, losses = carry
        rows = starts[number][None, :] + jnp.arange(training.length)[:, None]
        inputs = spec.scale(features[rows], mean, std)
        wanted = targets[rows[training.burn_in :]]
        loss, gradient = jax.value_and_grad(lambda w: sequence_loss(unravel(w), inputs, wanted, noise[number], spec, training))(flat)
        gradient = gradient * jnp.minimum(1.0, GRADIENT_NORM / (jnp.sqrt(jnp.sum(gradient * gradient)) + 1e-9))
        mean_gradient = ADAM_MEAN * mean_gradient + (1 - ADAM_MEAN) * gradient
        square_gradient = ADAM_SQUARE * square_gradient + (1 - ADAM_SQUARE) * gradient * gradient
        done = number.astype(jnp.float32)
        now = rate * jnp.minimum(1.0, (done + 1) / (WARM_UP_SHARE * count + 1))
        towards = mean_gradient / (1 - ADAM_MEAN ** (done + 1)) / (jnp.sqrt(square_gradient / (1 - ADAM_SQUARE ** (done + 1))) + 1e-8)
        flat = flat - share * now * (towards + training.weight_decay * flat)
        total = total + jnp.where(number >= averaged_from, flat, 0.0)
        return flat, mean_gradient, square_gradient, total, losses.at[number].set(loss)

    zeros, losses = jnp.zeros_like(start), jnp.zeros(starts.shape[0], start.dtype)
    _, _, _, total, losses = jax.lax.fori_loop(0, count, update, (start, zeros, zeros, zeros, losses))
    return unravel(total / (count - averaged_from)), losses


def sequence_loss(weights: Array, inputs: Array, wanted: Array, noise: Array, spec: LstmSpec, training: TrainingSpec) -> Array:
    """Mean loss of one batch of sequences.

    Args:
        inputs: scaled features [L, B, F].
        wanted: targets [L - burn_in, B, H]; NaN where unknown.
        noise: a random byte for each hidden state, uint8 [L - burn_in, B, U]; low ones leave it out.
    """
    import jax
    from jax import numpy as jnp

    kernel = jnp.concatenate([weights["kernel"], weights["recurrent"]])
    hidden = recurrent_layer()(kernel, weights["bias"], inputs)[training.burn_in :]
    if training.dropout > 0:
        left_out = round(256 * training.dropout)
        hidden = jnp.where(noise >= left_out, hidden * (256 / (256 - left_out)), 0.0)
    # The first horizon alone shapes the recurrent part: longer ones have fewer independent targets, and it would learn their chances.
    first, others = weights["head"][:, :OUTPUTS], weights["head"][:, OUTPUTS:]
    read = jnp.concatenate([hidden @ first, jax.lax.stop_gradient(hidden) @ others], -1)
    raw = read + inputs[training.burn_in :] @ weights["skip"] + weights["head_bias"]
    return distribution_loss(raw.reshape(*raw.shape[:2], spec.horizons, OUTPUTS), wanted, training)


def distribution_loss(raw: Array, wanted: Array, training: TrainingSpec) -> Array:
    """Huber loss of the location plus mean pinball loss of the quantiles (Koenker and Bassett 1978), horizons weighted.

    Args:
        raw: [..., H, 6], location and five quantiles.
        wanted: [..., H]; NaN where unknown.
    """
    from jax import numpy as jnp

    known = ~jnp.isnan(wanted)
    truth = jnp.where(known, wanted, 0.0)
    miss = jnp.abs(truth - raw[..., 0])
    delta = training.huber_delta
    huber = jnp.where(miss < delta, 0.5 * miss * miss / delta, miss - 0.5 * delta)
    levels = jnp.asarray(QUANTILES, dtype=raw.dtype)
    over = truth[..., None] - raw[..., 1:]
    pinball = jnp.maximum(levels * over, (levels - 1) * over).mean(-1)
    weight = known * jnp.asarray(training.horizon_weights, dtype=raw.dtype)
    return ((huber + pinball) * weight).sum() / jnp.maximum(weight.sum(), 1e-9)
