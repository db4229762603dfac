"""Templates: the Keras file of each network architecture, which Keras itself builds and saves once.

A template is kept in the models folder and filled with the weights of every model that is saved, so that a run whose templates are there
never imports Keras, which takes seconds of a core. A template that is absent or cannot be read is built again.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.atomic import write_bytes
from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.forecasters.model_file import member

_CONFIG: Final = "config.json"
WEIGHTS: Final = "model.weights.h5"


@dataclass(frozen=True)
class Template:
    """A saved network without its weights: Keras's JSON text, and the shape of each array of the weight file."""

    config: bytes
    shapes: Mapping[str, tuple[int, ...]]

    def filled(self, arrays: Mapping[str, NDArray[Any]]) -> bytes:
        """A Keras file with these arrays, by their place in the weight file; equal arrays give equal bytes of numbers.

        Raises:
            FingerprintMismatch: the arrays are not those of the network.
        """
        import h5py

        if {place: array.shape for place, array in arrays.items()} != self.shapes:
            raise FingerprintMismatch(f"Keras {_keras_version()} stores a network in another order; install the version of setup.cfg")
        weights, whole = io.BytesIO(), io.BytesIO()
        with h5py.File(weights, "w") as file:
            for place, array in arrays.items():
                file[place] = array
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": _keras_version()}))  # no date: equal models, equal files
            archive.writestr(_CONFIG, self.config)
            archive.writestr(WEIGHTS, weights.getvalue())
        return whole.getvalue()


def template(folder: Path, architecture: object, build: Callable[[], Any]) -> Template:
    """The template of an architecture; several processes may ask for the same one at once.

    Args:
        folder: where templates are kept.
        architecture: plain values that decide the network; together with the version of Keras they name the file.
        build: gives the Keras network; called only where there is no template yet.
    """
    path = folder / f"{fingerprint.of_value([architecture, _keras_version()])[:16]}.keras"
    found = read_template(path)
    if found is None:
        with TemporaryDirectory() as temporary:
            saved = Path(temporary) / "network.keras"
            build().save(saved)
            write_bytes(path, saved.read_bytes())
        found = read_template(path)
    if found is None:
        raise FingerprintMismatch(f"{path} cannot be read though it was just written; check the disk")
    return found


def read_template(path: Path) -> Template | None:
    """The template in a file; None where there is none that can be read."""
    import h5py

    try:
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(member(archive, WEIGHTS)), "r") as file:
            shapes: dict[str, tuple[int, ...]] = {}
            file.visititems(lambda place, item: shapes.update({place: item.shape}) if isinstance(item, h5py.Dataset) else None)
            return Template(member(archive, _CONFIG), shapes)
    except (OSError, LookupError, ValueError, RuntimeError, zipfile.BadZipFile):
        return None


def _keras_version() -> str:
    return importlib.metadata.version("keras")
