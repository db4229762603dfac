"""Reads the weights of a saved network without Keras, in milliseconds instead of seconds.

The file stays a Keras file, which Keras opens in safe mode; its arrays lie in an HDF5 store inside a zip archive, beside a JSON text
that gives the shape. Nothing in it is executed, and nothing but the file itself is read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.forecasters.lstm import OUTPUTS, Ensemble, LstmSpec, Weights
from forwardtrader.models.forecasters.model_file import array, holds, member, require_sound_network
from forwardtrader.models.forecasters.network_template import WEIGHTS

_NAMES: Final = ("kernel", "recurrent", "bias", "head", "head_bias", "skip")


def read_network(path: Path) -> Ensemble:
    """The ensemble that `models.forecasters.lstm.load` reads through Keras, to the last bit.

    Raises:
        FingerprintMismatch: the file is damaged, or not a network of this project.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            weights = member(archive, WEIGHTS)
            context, features = _shape(json.loads(member(archive, "config.json")))
        with h5py.File(io.BytesIO(weights), "r") as file:
            return require_sound_network(_ensemble(file, len(weights), context, features))
    except (ValueError, LookupError, OSError, TypeError, RuntimeError, StopIteration, MemoryError, zipfile.BadZipFile) as error:
        raise FingerprintMismatch(f"{path} is damaged or not a model of this project; remove it and train again") from error


def _shape(config: Any) -> tuple[int, int]:
    """Bars the network sees, and features of each."""
    inputs = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer")
    _, context, features = inputs["config"]["batch_shape"]
    return int(context), int(features)


def _ensemble(file: Any, size: int, context: int, features: int) -> Ensemble:
    mean, variance = (array(file, f"layers/normalization/vars/{n}", size).reshape(-1) for n in range(2))
    members = tuple(_members(file, size))
    if mean.shape != (features,) or not members:
        raise ValueError("the network differs in shape from its configuration")
    head = members[0]["head"]
    spec = LstmSpec(features=features, units=members[0]["recurrent"].shape[0], horizons=head.shape[1] // OUTPUTS, context=context)
    return Ensemble(spec, mean.astype(np.float32), np.sqrt(variance).astype(np.float32), members)


def _members(file: Any, size: int) -> Iterator[Weights]:
    """Keras numbers layers by kind: each member brings one LSTM and two dense layers, the second without a bias."""
    number = 0
    while holds(file, cell := "layers/" + _numbered("lstm", number) + "/cell"):
        head, skip = ("layers/" + _numbered("dense", 2 * number + n) for n in range(2))
        places = [f"{cell}/vars/{n}" for n in range(3)] + [f"{head}/vars/0", f"{head}/vars/1", f"{skip}/vars/0"]
        yield dict(zip(_NAMES, (array(file, place, size) for place in places), strict=True))
        number += 1


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind
