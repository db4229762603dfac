"""Stepwise inference: the network processes all but the last step of its context before the newest bar arrives.

What is left once the bar has closed is one step of the LSTM and the head. Both parts run in blocks of the shape that
`models.forecasters.lstm.predict` uses. Nothing promises that a compiler gives the parts of a program the bits of the whole, so the first
model of each shape is tried, and where the parts differ from the whole, models of that shape are forecast whole.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core import log
from forwardtrader.core.threads import once
from forwardtrader.models.forecasters.lstm import BLOCK, OUTPUTS, Ensemble, LstmSpec, combined, predict, step
from forwardtrader.models.forecasters.xla import compiled, placed, prepare_jax
from forwardtrader.models.port.fitted import FittedModel

_LOG: Final = log.logger("models")
_TRIALS: Final = 4
Array: Any = Any
_exact: dict[tuple[LstmSpec, int], bool] = {}


class Stepper(Protocol):
    """The forecast of the newest row, in two parts."""

    def prepare(self, rows: NDArray[np.float32], key: Any) -> None:
        """Do what the rows before the newest one, [context - 1, F], allow; `key` names them."""
        ...

    def forecast(self, window: NDArray[np.float32], key: Any) -> NDArray[np.float32]:
        """Raw forecast at the last row of `window` [context, F]: [members, H, 6]."""
        ...


class WholeInference:
    """Asks a model for the newest row in one go."""

    def __init__(self, model: FittedModel, symbol: str) -> None:
        self.model = model
        self.symbol = symbol

    def prepare(self, rows: NDArray[np.float32], key: Any) -> None:
        """Nothing can be done ahead."""

    def forecast(self, window: NDArray[np.float32], key: Any) -> NDArray[np.float32]:
        return self.model.raw(window, np.array([self.model.context - 1]), self.symbol)[0]


def stepper_of(model: FittedModel, symbol: str) -> Stepper:
    """The network of the LSTM step by step, any other model as a whole."""
    return StepwiseInference(model) if isinstance(model, Ensemble) else WholeInference(model, symbol)


class StepwiseInference:
    """Raw forecasts of one model at the newest of its rows.

    Attributes:
        is_exact: whether the parts gave the whole's bits; where they do not, `forecast` does everything at once.
    """

    def __init__(self, model: Ensemble) -> None:
        self.model = model
        self._before, self._after = _parts(model.spec, len(model.members))
        self._scaling, self._weights = placed((model.mean, model.std)), placed(_stacked(model))
        self._carry: Any = (None, None)
        self._prepared_for: Any = None
        self._newest = np.zeros((BLOCK, model.spec.features), np.float32)
        self.is_exact = True
        shape = (model.spec, len(model.members))
        if shape not in _exact:
            _exact[shape] = self._agrees()
        self.is_exact = _exact[shape]

    def prepare(self, rows: NDArray[np.float32], key: Any) -> None:
        """Walk over the context's rows before the newest one, [context - 1, F]; `key` names them."""
        if not self.is_exact or self._prepared_for == key:
            return
        import jax

        repeated = np.repeat(rows[:, None, :], BLOCK, axis=1)
        wait: Any = jax.block_until_ready
        self._carry = wait(self._before(repeated, *self._scaling, *self._weights))
        self._prepared_for = key

    def forecast(self, window: NDArray[np.float32], key: Any) -> NDArray[np.float32]:
        """What `predict` gives for the last row of `window` [context, F]: [members, H, 6].

        Args:
            key: of the rows before the newest one; where they were not prepared they are walked over now.
        """
        if not self.is_exact:
            return predict(self.model, window, np.array([self.model.spec.context - 1]))[0]
        self.prepare(window[:-1], key)
        self._newest[:] = window[-1]
        outputs = np.asarray(self._after(self._newest, *self._carry, *self._scaling, *self._weights))
        raw = outputs[:, 0].reshape(1, len(self.model.members), self.model.spec.horizons, OUTPUTS)
        trees = self.model.trees
        if trees is None:
            return np.asarray(raw[0])
        outputs = np.array([trees.predict_one(self.model.scaled(window[-1]))])
        return combined(raw, outputs, self.model.share)[0]

    def _agrees(self) -> bool:
        spec, draw = self.model.spec, np.random.default_rng(0)
        features = draw.normal(self.model.mean, self.model.std, (spec.context + _TRIALS, spec.features)).astype(np.float32)
        for n in range(_TRIALS):
            window = features[n : n + spec.context]
            whole = predict(self.model, window, np.array([spec.context - 1]))[0]
            if not np.array_equal(self.forecast(window, ("trial", n)), whole, equal_nan=True):
                log.event(_LOG, "network_not_cut", units=spec.units, context=spec.context)
                return False
        return True


def _stacked(model: Ensemble) -> tuple[NDArray[np.float32], ...]:
    """Kernels [members, F + U, 4U], biases, heads, skips and biases of the heads: few arguments are handed over faster than many."""
    kernels = [np.concatenate([member["kernel"], member["recurrent"]]) for member in model.members]
    rest = ([member[name] for member in model.members] for name in ("bias", "head", "skip", "head_bias"))
    return tuple(np.stack(arrays) for arrays in (kernels, *rest))


@once
def _parts(spec: LstmSpec, members: int) -> tuple[Any, Any]:
    """The walk over [context - 1, BLOCK, F] to the states of all members, and the step from there with [BLOCK, F] to raw outputs."""
    prepare_jax()
    import jax
    from jax import numpy as jnp

    def before(inputs: Array, mean: Array, std: Array, kernel: Array, bias: Array, *_heads: Array) -> tuple[Array, Array]:
        scaled, start = spec.scale(inputs, mean, std), jnp.zeros((BLOCK, spec.units), inputs.dtype)

        def walk(m: int) -> Any:
            return jax.lax.scan(lambda carry, x: (step(kernel[m], bias[m], x, *carry)[:2], None), (start, start), scaled)[0]

        states = [walk(m) for m in range(members)]
        return jnp.stack([hidden for hidden, _ in states]), jnp.stack([memory for _, memory in states])

    def after(
        newest: Array, hidden: Array, memory: Array, mean: Array, std: Array, kernel: Array, bias: Array, head: Array, skip: Array,
        head_bias: Array,
    ) -> Array:  # fmt: skip
        x = spec.scale(newest, mean, std)
        stepped = [step(kernel[m], bias[m], x, hidden[m], memory[m])[0] for m in range(members)]
        return jnp.stack([stepped[m] @ head[m] + x @ skip[m] + head_bias[m] for m in range(members)])

    f32: Any = functools.partial(jax.ShapeDtypeStruct, dtype=np.float32)
    features, units, outputs, block = spec.features, spec.units, spec.outputs, (BLOCK, spec.features)
    scaling = (f32((features,)), f32((features,)))
    cells = (f32((members, features + units, 4 * units)), f32((members, 4 * units)))
    heads = (f32((members, units, outputs)), f32((members, features, outputs)), f32((members, outputs)))
    states = (f32((members, BLOCK, units)), f32((members, BLOCK, units)))
    walk_over = compiled(before, f32((spec.context - 1, *block)), *scaling, *cells, *heads)
    return walk_over, compiled(after, f32(block), *states, *scaling, *cells, *heads)
