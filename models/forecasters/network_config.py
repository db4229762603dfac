"""The words in which a Keras file tells its network: the tree that Keras itself writes for `models.forecasters.lstm.network`.

Keras is not in memory.

Importing Keras and building layers whose first numbers are thrown away takes several seconds of a core; every backtest and every child that
trains would pay them. Only what differs from a layer's own defaults is written.
"""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any, Final

Tree = dict[str, Any]
LAYERS: Final = "keras.layers"
OPERATIONS: Final = "keras.src.ops.numpy"


def metadata_json() -> str:
    """Which Keras reads the file as its own. No date: equal models make equal files."""
    return json.dumps({"keras_version": importlib.metadata.version("keras")})


def config_json(*, features: int, context: int, units: int, horizons: int, outputs: int, members: int, clip: float) -> str:
    """The functional model: features [batch, context, F] to forecasts [batch, H, outputs], the mean of its members."""
    wide = horizons * outputs
    window, last, hidden, row = [None, context, features], [None, features], [None, units], [None, wide]
    scaled = _tensor("bounded", window)
    layers = [
        _layer("InputLayer", "features", [], batch_shape=window, dtype="float32"),
        _layer("Normalization", "scaling", [[_tensor("features", window)]], window, axis=[-1]),
        _operation("Clip", "bounded", [_tensor("scaling", window)], x_min=-clip, x_max=clip),
        _operation("GetItem", "last", [scaled, [_all_rows(), -1]]),
    ]
    layers += [_layer("LSTM", f"lstm_{m}", [[scaled]], window, units=units) for m in range(members)]
    for m in range(members):
        layers.append(_layer("Dense", f"head_{m}", [[_tensor(f"lstm_{m}", hidden)]], hidden, units=wide))
        layers.append(_layer("Dense", f"skip_{m}", [[_tensor("last", last)]], last, units=wide, use_bias=False))
    for m in range(members):
        layers.append(_layer("Add", f"member_{m}", [[[_tensor(f"head_{m}", row), _tensor(f"skip_{m}", row)]]], [row, row]))
    said = [_tensor(f"member_{m}", row) for m in range(members)]
    if members > 1:
        layers.append(_layer("Average", "mean_of_members", [[said]], [row] * members))
        said = [_tensor("mean_of_members", row)]
    layers.append(_layer("Reshape", "forecast", [said], target_shape=[horizons, outputs]))
    return json.dumps(_model(layers))


def _model(layers: list[Tree]) -> Tree:
    inside = {
        "name": "forecaster",
        "trainable": True,
        "layers": layers,
        "input_layers": ["features", 0, 0],
        "output_layers": ["forecast", 0, 0],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": inside,
        "registered_name": "Functional",
        "build_config": {"input_shape": None},
        "compile_config": {},
    }


def _layer(kind: str, name: str, called_with: list[Any], built_for: list[Any] | None = None, **config: Any) -> Tree:
    """A layer, called once with the positional arguments `called_with[0]` where it is called at all."""
    nodes = [{"args": arguments if isinstance(arguments, list) else [arguments], "kwargs": {}} for arguments in called_with]
    tree = {"module": LAYERS, "class_name": kind, "config": {"name": name, **config}, "registered_name": None, "name": name}
    built = {} if built_for is None else {"build_config": {"input_shape": built_for}}
    return tree | built | {"inbound_nodes": nodes}


def _operation(kind: str, name: str, arguments: list[Any], **config: Any) -> Tree:
    tree = {"module": OPERATIONS, "class_name": kind, "config": {"name": name, **config}, "registered_name": kind, "name": name}
    return tree | {"inbound_nodes": [{"args": arguments, "kwargs": {}}]}


def _tensor(source: str, shape: list[int | None]) -> Tree:
    return {"class_name": "__keras_tensor__", "config": {"shape": shape, "dtype": "float32", "keras_history": [source, 0, 0]}}


def _all_rows() -> Tree:
    return {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}
