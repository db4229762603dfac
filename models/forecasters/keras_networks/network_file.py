"""The Keras file of a user's network: filled with arrays, and read again without anything in it being executed.

Keras itself writes the network once, and must be able to open it in safe mode. Each model's file is then that one with other arrays;
reading takes the arrays alone, into the network that the user's own code builds.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed
from forwardtrader.models.forecasters.model_file import array, member
from forwardtrader.models.forecasters.network_template import WEIGHTS, Template, read_template


class NetworkFile:
    """Files of one network.

    Attributes:
        places: where the file holds each variable, by its position among the model's; what it need not hold is absent.

    Raises:
        ForecasterFailed: Keras could not open such a file in safe mode.
    """

    def __init__(self, model: Any) -> None:
        self._shapes = [(tuple(v.shape), np.dtype(v.dtype)) for v in model.variables]
        values = [np.asarray(v) for v in model.variables]
        with TemporaryDirectory() as temporary:
            path = Path(temporary) / "network.keras"
            # Every variable holds its own number, by which its place in the file is found.
            for number, variable in enumerate(model.variables):
                variable.assign(np.full(variable.shape, number, variable.dtype))
            _save(model, path)
            for variable, value in zip(model.variables, values, strict=True):
                variable.assign(value)
            self._template, held = _held(path)
        self.places = {int(found.flat[0]): place for place, found in held.items() if found.size}
        if len(self.places) != len(held):
            raise ForecasterFailed("a saved network holds more than its variables; let its layers save those alone")
        for number, variable in enumerate(model.variables):
            if variable.trainable and number not in self.places:
                raise ForecasterFailed(f"a saved network lacks {variable.path}; let its layer save all its variables")

    def filled(self, values: Sequence[NDArray[Any]]) -> bytes:
        """The file with these arrays."""
        return self._template.filled({place: values[number] for number, place in self.places.items()})

    def read(self, path: Path, first: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The arrays of a file; those that it does not hold come from `first`.

        Raises:
            FingerprintMismatch: it is damaged, or of another network.
        """
        import h5py

        out = list(first)
        try:
            with zipfile.ZipFile(path) as archive:
                weights = member(archive, WEIGHTS)
            with h5py.File(io.BytesIO(weights), "r") as file:
                for number, place in self.places.items():
                    shape, kind = self._shapes[number]
                    out[number] = array(file, place, len(weights), kind)
                    if out[number].shape != shape:
                        raise ValueError(f"{place} has another shape")
        except (ValueError, LookupError, OSError, RuntimeError, MemoryError, zipfile.BadZipFile) as error:
            raise FingerprintMismatch(f"{path} is damaged or of another network ({error}); remove it and train again") from error
        return tuple(out)


def _save(model: Any, path: Path) -> None:
    import keras

    try:
        model.save(path)
        keras.saving.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # whatever Keras, or a layer of the user's, raises
        raise ForecasterFailed(
            "Keras cannot open this network from its file in safe mode: it has a Lambda layer, or a class that Keras does not know; write "
            "it as a class of its own with get_config, and put @keras.saving.register_keras_serializable() above it"
        ) from error


def _held(path: Path) -> tuple[Template, dict[str, NDArray[Any]]]:
    import h5py

    template = read_template(path)
    if template is None:
        raise FingerprintMismatch(f"{path} cannot be read though it was just written; check the disk")
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(member(archive, WEIGHTS)), "r") as file:
        return template, {place: np.asarray(file[place][...]) for place in template.shapes}
