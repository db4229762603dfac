"""The LSTM network: defined and saved by Keras, evaluated by one compiled function of fixed shape.

scaled features -> LSTM -> dropout -> dense, plus a linear skip from the last bar's features -> per horizon a location and five quantiles,
in units of the usual move over that horizon. Several members (seeds) are averaged, and at the first horizon boosted trees have their share.
"""

from __future__ import annotations

import functools
import inspect
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_bytes
from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.core.threads import once
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.network_template import template
from forwardtrader.models.forecasters.trees import Trees
from forwardtrader.models.forecasters.trees import save as save_trees
from forwardtrader.models.forecasters.xla import compiled, placed, prepare_jax

OUTPUTS: Final = 1 + len(QUANTILES)
FEATURE_CLIP: Final = 5.0
BLOCK: Final = 16
# Blocks handed over at a time: enough to share what that costs, few enough to take no memory to speak of.
HANDED_OVER: Final = 32
Weights: TypeAlias = dict[str, NDArray[np.float32]]
Array: Any = Any


@dataclass(frozen=True, kw_only=True)
class LstmSpec:
    """The shape of a network; part of the fingerprint of a model."""

    features: int
    units: int
    horizons: int
    context: int

    @property
    def outputs(self) -> int:
        return self.horizons * OUTPUTS

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays of one member."""
        return {
            "kernel": (self.features, 4 * self.units),
            "recurrent": (self.units, 4 * self.units),
            "bias": (4 * self.units,),
            "head": (self.units, self.outputs),
            "skip": (self.features, self.outputs),
            "head_bias": (self.outputs,),
        }

    def scale(self, features: Array, mean: Array, std: Array) -> Array:
        """Centre, divide and clip, as the saved model does."""
        from jax import numpy as jnp

        return jnp.clip((features - mean) / std, -FEATURE_CLIP, FEATURE_CLIP)


@dataclass(frozen=True)
class Ensemble:
    """A trained model: the scaling, the weights of each member, and the trees that make up a `share` of the first horizon's forecast."""

    spec: LstmSpec
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    members: tuple[Weights, ...]
    trees: Trees | None = None
    share: float = 0.0

    @property
    def context(self) -> int:
        return self.spec.context

    @property
    def horizons(self) -> int:
        return self.spec.horizons

    def raw(self, features: NDArray[np.float32], rows: NDArray[np.int64], symbol: str) -> NDArray[np.float32]:
        """As `predict`; one network serves all symbols."""
        return predict(self, features, rows)

    def save(self, folder: Path, templates: Path) -> None:
        """Write network and trees to the folder of a model."""
        save(self, folder / "model.keras", templates)
        if self.trees is not None:
            save_trees(self.trees, folder / "trees.npz")

    def scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features [n, F] as the trees are given them."""
        return np.clip((features - self.mean) / self.std, -FEATURE_CLIP, FEATURE_CLIP)


def step(kernel: Array, bias: Array, x: Array, hidden: Array, memory: Array) -> tuple[Array, Array, Array]:
    """One LSTM step (Hochreiter and Schmidhuber 1997, with a forget gate): new hidden state, new memory, gates [B, 4U]."""
    from jax import numpy as jnp

    units = hidden.shape[-1]
    z = jnp.concatenate([x, hidden], -1) @ kernel + bias
    i, f, o = (_sigmoid(z[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
    g = jnp.tanh(z[:, 2 * units : 3 * units])
    memory = f * memory + i * g
    return o * jnp.tanh(memory), memory, jnp.concatenate([i, f, g, o], -1)


def _sigmoid(x: Array) -> Array:
    """The logistic function as a tanh, which the CPU has in vector form."""
    from jax import numpy as jnp

    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def predict(model: Ensemble, features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Raw forecasts made at the close of each of `rows`: float32 [len(rows), members, H, 6].

    Every forecast is computed in a block of one fixed shape, so a single row gives the same bits as a whole history.

    Args:
        features: unscaled [T, F].
        rows: each at least context - 1.
    """
    context = model.spec.context
    blocks = -(-len(rows) // BLOCK)
    padded = np.concatenate([rows, np.full(blocks * BLOCK - len(rows), rows[-1])])
    at = padded.reshape(blocks, BLOCK)[:, None, :] - context + 1 + np.arange(context)[None, :, None]
    run, network = block_forecast(model.spec, len(model.members)), (model.mean, model.std, model.members)
    if blocks == 1:
        out = [np.asarray(run(features[at[0]], *network))]
    else:
        network = placed(network)
        groups = (placed([features[block] for block in at[b : b + HANDED_OVER]]) for b in range(0, blocks, HANDED_OVER))
        out = [np.asarray(run(block, *network)) for group in groups for block in group]
    shape = (blocks * BLOCK, len(model.members), model.spec.horizons, OUTPUTS)
    raw = np.stack(out).transpose(0, 2, 1, 3).reshape(shape)[: len(rows)]
    return raw if model.trees is None else combined(raw, model.trees.predict(model.scaled(features[rows])), model.share)


def combined(raw: NDArray[np.float32], of_trees: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The first horizon of every member moved towards the forecast of the trees [n], quantiles along with the location.

    A fixed weighting of two forecasters whose errors differ (Bates and Granger 1969).
    """
    moved = raw.copy()
    moved[:, :, 0, :] += (np.float32(share) * (of_trees[:, None] - raw[:, :, 0, 0]))[:, :, None]
    return moved


@once
def block_forecast(spec: LstmSpec, members: int) -> Any:
    """The compiled forecast of one block: features [context, BLOCK, F] to raw outputs [members, BLOCK, outputs]."""
    prepare_jax()
    import jax
    from jax import numpy as jnp

    def one(weights: Any, inputs: Array) -> Array:
        kernel = jnp.concatenate([weights["kernel"], weights["recurrent"]])
        start = jnp.zeros((BLOCK, spec.units), inputs.dtype)

        def advance(carry: Any, x: Array) -> Any:
            hidden, memory, _ = step(kernel, weights["bias"], x, *carry)
            return (hidden, memory), None

        (hidden, _), _ = jax.lax.scan(advance, (start, start), inputs)
        return hidden @ weights["head"] + inputs[-1] @ weights["skip"] + weights["head_bias"]

    def all_members(inputs: Array, mean: Array, std: Array, weights: Any) -> Array:
        scaled = spec.scale(inputs, mean, std)
        return jnp.stack([one(weights[m], scaled) for m in range(members)])

    f32: Any = functools.partial(jax.ShapeDtypeStruct, dtype=np.float32)
    one_member = {name: f32(shape) for name, shape in spec.shapes().items()}
    inputs, per_feature = f32((spec.context, BLOCK, spec.features)), f32((spec.features,))
    return compiled(all_members, inputs, per_feature, per_feature, (one_member,) * members)


def save(model: Ensemble, path: Path, templates: Path) -> None:
    """Write the ensemble as a Keras file, without Keras in memory where the template of its architecture is in the folder `templates`."""
    spec, members = model.spec, len(model.members)
    architecture = [asdict(spec), members, OUTPUTS, FEATURE_CLIP, inspect.getsource(network)]
    kept = template(templates, architecture, lambda: network(spec, members))
    write_bytes(path, kept.filled(_places(model)))


def load(path: Path) -> Ensemble:
    """Read an ensemble through Keras in safe mode, which refuses anything executable.

    Raises:
        FingerprintMismatch: the file is damaged, or not a network of this project.
    """
    prepare_jax()
    import keras

    try:
        network = keras.saving.load_model(path, safe_mode=True, compile=False)
        return _ensemble(network)
    except (ValueError, KeyError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise FingerprintMismatch(f"{path} is damaged or not a model of this project; remove it and train again") from error


def network(spec: LstmSpec, members: int) -> Any:
    """The Keras model: features [batch, context, F] to forecasts [batch, H, 6], the mean of its members; what a saved file opens as."""
    prepare_jax()
    import keras

    inputs = keras.Input((spec.context, spec.features), name="features")
    scaled = keras.layers.Normalization(axis=-1, name="scaling")
    bounded = keras.ops.clip(scaled(inputs), -FEATURE_CLIP, FEATURE_CLIP)
    last = bounded[:, -1]
    heads = []
    for m in range(members):
        hidden = keras.layers.LSTM(spec.units, name=f"lstm_{m}")(bounded)
        head = keras.layers.Dense(spec.outputs, name=f"head_{m}")(hidden)
        skip = keras.layers.Dense(spec.outputs, use_bias=False, name=f"skip_{m}")(last)
        heads.append(keras.layers.Add(name=f"member_{m}")([head, skip]))
    mean = keras.layers.Average(name="mean_of_members")(heads) if members > 1 else heads[0]
    return keras.Model(inputs, keras.layers.Reshape((spec.horizons, OUTPUTS), name="forecast")(mean), name="forecaster")


def _places(model: Ensemble) -> dict[str, NDArray[Any]]:
    """Where each array stands inside Keras's weight file."""
    scaling = "layers/normalization/vars"
    places: dict[str, NDArray[Any]] = {f"{scaling}/0": model.mean, f"{scaling}/1": model.std**2, f"{scaling}/2": np.array(0, np.int32)}
    for m, weights in enumerate(model.members):
        places |= {where: weights[name] for name, where in _member_places(m).items()}
    return places


def _member_places(m: int) -> dict[str, str]:
    """Keras numbers layers by kind: each member brings one LSTM and two dense layers."""

    def numbered(kind: str, n: int) -> str:
        return f"layers/{kind}_{n}" if n else f"layers/{kind}"

    cell, head, skip = numbered("lstm", m) + "/cell", numbered("dense", 2 * m), numbered("dense", 2 * m + 1)
    return {
        "kernel": f"{cell}/vars/0",
        "recurrent": f"{cell}/vars/1",
        "bias": f"{cell}/vars/2",
        "head": f"{head}/vars/0",
        "head_bias": f"{head}/vars/1",
        "skip": f"{skip}/vars/0",
    }


def _ensemble(network: Any) -> Ensemble:
    """Take the arrays out of a loaded Keras model."""
    _, context, features = network.input_shape
    horizons = network.output_shape[1]
    mean, variance = (np.asarray(w).reshape(-1) for w in network.get_layer("scaling").get_weights()[:2])
    members: list[Weights] = []
    names = {layer.name for layer in network.layers}
    while f"lstm_{len(members)}" in names:
        m = len(members)
        lstm, head, skip = (network.get_layer(f"{kind}_{m}").get_weights() for kind in ("lstm", "head", "skip"))
        members.append(dict(zip(("kernel", "recurrent", "bias", "head", "head_bias", "skip"), (*lstm, *head, *skip), strict=True)))
    spec = LstmSpec(features=features, units=members[0]["recurrent"].shape[0], horizons=horizons, context=context)
    return Ensemble(spec, mean.astype(np.float32), np.sqrt(variance).astype(np.float32), tuple(members))
