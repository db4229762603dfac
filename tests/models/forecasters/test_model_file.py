"""Model files that somebody else made: nothing outside of them is read, and no more memory is taken than their own size."""

from __future__ import annotations

import io
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch, NotTrained
from forwardtrader.models.forecasters import trees as tree_file
from forwardtrader.models.forecasters.lstm import save
from forwardtrader.models.forecasters.network_file import read_network
from forwardtrader.models.forecasters.network_template import WEIGHTS
from forwardtrader.models.forecasters.trees import Trees
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.forecasters.test_network_file import ensemble

MEAN = "layers/normalization/vars/0"
Change = Callable[[h5py.File, Path], None]


def external_storage(file: h5py.File, secret: Path) -> None:
    del file[MEAN]
    file.create_dataset(MEAN, shape=(5,), dtype="f4", external=[(str(secret), 0, 20)])


def external_link(file: h5py.File, secret: Path) -> None:
    del file["layers/lstm/cell"]
    file["layers/lstm/cell"] = h5py.ExternalLink(str(secret), "/")


def soft_link(file: h5py.File, secret: Path) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(secret), "/x")
    del file[MEAN]
    file[MEAN] = h5py.SoftLink("/elsewhere")


def virtual(file: h5py.File, secret: Path) -> None:
    del file[MEAN]
    layout = h5py.VirtualLayout(shape=(5,), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(5,))
    file.create_virtual_dataset(MEAN, layout)


def larger_than_the_file(file: h5py.File, secret: Path) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", shape=(2_000_000_000,), dtype="f4", chunks=(1_000_000,))


def not_finite(file: h5py.File, secret: Path) -> None:
    file["layers/dense/vars/1"][0] = np.nan


def another_shape(file: h5py.File, secret: Path) -> None:
    del file["layers/dense/vars/1"]
    file["layers/dense/vars/1"] = np.zeros(3, np.float32)


def texts(file: h5py.File, secret: Path) -> None:
    del file[MEAN]
    file[MEAN] = ["a", "b", "c", "d", "e"]


def rewritten(path: Path, change: Change | None = None, *, compression: int = zipfile.ZIP_STORED, config: bytes | None = None) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts[WEIGHTS])
    secret = path.with_name("secret.h5")
    with h5py.File(secret, "w") as file:
        file["x"] = np.arange(5, dtype=np.float32)
    if change is not None:
        with h5py.File(weights, "r+") as file:
            change(file, secret)
    parts |= {WEIGHTS: weights.getvalue(), "config.json": config or parts["config.json"]}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(ensemble(1), tmp_path / "model.keras", tmp_path / "templates")
    return tmp_path / "model.keras"


def test_a_file_that_was_only_repacked_is_read(model: Path) -> None:
    before = read_network(model)
    rewritten(model)
    assert read_network(model).mean.tobytes() == before.mean.tobytes()


@pytest.mark.parametrize(
    "change", [external_storage, external_link, soft_link, virtual, larger_than_the_file, not_finite, another_shape, texts]
)
def test_weights_that_lie_elsewhere_or_do_not_fit_are_refused(model: Path, change: Change) -> None:
    rewritten(model, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FingerprintMismatch, match="is damaged or not a model of this project"):
        read_network(model)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_compressed_archive_is_refused_before_it_is_unpacked(model: Path) -> None:
    rewritten(model, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FingerprintMismatch):
        read_network(model)


@pytest.mark.parametrize("config", [b"[]", b"{", b"[" * 100_000, b'{"config": {"layers": []}}'])
def test_a_damaged_description_is_refused(model: Path, config: bytes) -> None:
    rewritten(model, config=config)
    with pytest.raises(FingerprintMismatch):
        read_network(model)


SOUND: dict[str, Any] = {
    "feature": np.zeros((2, 7), np.int32), "threshold": np.full((2, 7), np.inf), "left": np.zeros((2, 7), np.uint8),
    "value": np.ones((2, 8)),
}  # fmt: skip


def with_trees(root: Path, *, compressed: bool = False, **changes: Any) -> ModelRegistry:
    (root / "one").mkdir(parents=True)
    (np.savez_compressed if compressed else np.savez)(root / "one" / "trees.npz", **(SOUND | changes))
    return ModelRegistry(root)


def test_sound_trees_are_read(tmp_path: Path) -> None:
    assert with_trees(tmp_path).trees("one", 5).value.shape == (2, 8)


@pytest.mark.parametrize(
    "changes",
    [
        {"feature": np.full((2, 7), 5, np.int32)}, {"feature": np.full((2, 7), -1, np.int32)}, {"feature": np.zeros((2, 7), np.int64)},
        {"left": np.zeros((2, 7), np.int32)}, {"threshold": np.full((2, 7), np.nan)}, {"value": np.full((2, 8), np.inf)},
        {"value": np.ones((3, 8))}, {"value": np.float64(1)}, {name: np.zeros((0, a.shape[1]), a.dtype) for name, a in SOUND.items()},
        {"value": np.array([[object()] * 8] * 2)}, {"value": np.array([["a"] * 8] * 2)}, {"compressed": True},
    ],
)  # fmt: skip
def test_trees_that_would_read_what_is_not_there_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(FingerprintMismatch, match=r"trees.npz is absent or damaged; remove its folder and train again"):
        with_trees(tmp_path, **changes).trees("one", 5)


def test_an_array_that_claims_to_be_larger_than_memory_is_refused(tmp_path: Path) -> None:
    registry = with_trees(tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 45, 8)})
    with zipfile.ZipFile(tmp_path / "one" / "trees.npz", "w") as archive:
        archive.writestr("feature.npy", header.getvalue())
    with pytest.raises(FingerprintMismatch):
        registry.trees("one", 5)


def test_nothing_in_a_model_folder_is_unpickled(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "trees.npz").write_bytes(pickle.dumps({"feature": 1}))
    with pytest.raises(FingerprintMismatch):
        ModelRegistry(tmp_path).trees("one", 5)
    with pytest.raises(FingerprintMismatch):
        tree_file.load(tmp_path / "one" / "trees.npz")


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "/etc", "a/b"])
def test_an_id_that_is_a_path_names_no_model(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotTrained, match="is not the id of a model"):
        ModelRegistry(tmp_path / "models").card(name)


@pytest.mark.parametrize("part", ["folder", "card.json", "trees.npz"])
def test_a_link_out_of_the_registry_is_not_followed(tmp_path: Path, part: str) -> None:
    with_trees(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "one" / "card.json").write_text("{}")
    root = tmp_path / "models"
    root.mkdir()
    if part == "folder":
        (root / "one").symlink_to(tmp_path / "elsewhere" / "one")
    else:
        (root / "one").mkdir()
        (root / "one" / part).symlink_to(tmp_path / "elsewhere" / "one" / part)
    registry = ModelRegistry(root)
    for read in (
        (lambda: registry.card("one"), lambda: registry.trees("one", 5))
        if part == "folder"
        else (lambda: registry.card("one") if part == "card.json" else registry.trees("one", 5),)
    ):
        with pytest.raises(FingerprintMismatch, match="is a link that leads out of"):
            read()
    assert (tmp_path / "elsewhere" / "one" / "card.json").read_text() == "{}"


def test_a_registry_that_is_itself_behind_a_link_is_followed(tmp_path: Path) -> None:
    with_trees(tmp_path / "disk")
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    found = ModelRegistry(tmp_path / "models").trees("one", 5)
    assert isinstance(found, Trees)
