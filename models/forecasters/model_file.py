"""What a model's files may hold. They come from disks and colleagues: nothing in them reads another file, or takes more memory than theirs.

Our archives are stored without compression, so that no member is larger than the file itself; one that is compressed is not ours.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.forecasters.trees import LEAVES, SETS_OF_LEAVES, Trees

if TYPE_CHECKING:
    from forwardtrader.models.forecasters.lstm import Ensemble

_LONGEST_CONTEXT: Final = 100_000
_FLOATS: Final = np.dtype(np.float32)


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member of an archive. Raises ValueError where it is compressed, KeyError where there is none."""
    _require_stored(archive.getinfo(name))
    return archive.read(name)


def require_stored(archive: zipfile.ZipFile) -> None:
    """Raises ValueError where any member of an archive is compressed."""
    for info in archive.infolist():
        _require_stored(info)


def _require_stored(info: zipfile.ZipInfo) -> None:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")


def holds(group: Any, place: str) -> bool:
    """Whether an HDF5 group holds an object at `place`, which no link on the way leads out of the file for. Follows no other link."""
    import h5py

    for part in place.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            return False
        group = group[part]
    return True


def array(group: Any, place: str, most_bytes: int, kind: np.dtype[Any] = _FLOATS) -> NDArray[Any]:
    """The numbers of an HDF5 dataset.

    Args:
        most_bytes: what all of them may take: as much as the file, since its numbers are not compressed.
        kind: the type that they must have.

    Raises:
        ValueError: there is none in the file itself, it is too large, or not of finite numbers.
    """
    import h5py

    found = group[place] if holds(group, place) else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{place} is not in the file")
    if found.dtype != kind or found.size is None or found.nbytes > most_bytes:
        raise ValueError(f"{place} is larger than the file, or no array of numbers")
    numbers: NDArray[Any] = np.asarray(found[...])
    if not np.isfinite(numbers).all():
        raise ValueError(f"{place} has numbers that are not finite")
    return numbers


def require_sound_network(model: Ensemble) -> Ensemble:
    """The ensemble. Raises ValueError where its arrays do not fit together."""
    spec = model.spec
    if not 1 <= spec.context <= _LONGEST_CONTEXT or model.mean.shape != (spec.features,) or model.std.shape != (spec.features,):
        raise ValueError("the network differs in shape from its configuration")
    shapes = [{name: found.shape for name, found in weights.items()} for weights in model.members]
    if not shapes or any(found != spec.shapes() for found in shapes) or not np.isfinite(model.std).all():
        raise ValueError("the members of the network differ in shape")
    return model


def require_sound_trees(trees: Trees, features: int, leaves: int = LEAVES) -> Trees:
    """The trees, of at most so many leaves.

    Raises ValueError where their arrays do not fit together, or a test reads a column that there is not.
    """
    count = len(trees.value) if trees.value.ndim else 0
    tests, barred = leaves - 1, SETS_OF_LEAVES[leaves]
    shapes = {"feature": (np.int32, tests), "threshold": (np.float64, tests), "left": (barred, tests), "value": (np.float64, leaves)}
    for name, (kind, width) in shapes.items():
        found = getattr(trees, name)
        if found.dtype != kind or found.shape != (count, width) or not count:
            raise ValueError(f"{name} is not of the shape of trees")
    if trees.feature.min() < 0 or trees.feature.max() >= features:
        raise ValueError(f"a tree reads a column that is not one of {features}")
    if np.isnan(trees.threshold).any() or not np.isfinite(trees.value).all():
        raise ValueError("a tree has numbers that are not finite")
    return trees
