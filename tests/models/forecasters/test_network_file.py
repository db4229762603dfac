"""The network read without Keras is the one that Keras reads, to the last bit."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.forecasters.lstm import Ensemble, LstmSpec, load, network, save
from forwardtrader.models.forecasters.network_file import read_network


def ensemble(members: int) -> Ensemble:
    spec, draw = LstmSpec(features=5, units=7, horizons=2, context=11), np.random.default_rng(3)
    shapes = {"kernel": (5, 28), "recurrent": (7, 28), "bias": (28,), "head": (7, 12), "head_bias": (12,), "skip": (5, 12)}
    weights = [{name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(members)]
    return Ensemble(spec, draw.normal(size=5).astype(np.float32), draw.uniform(0.5, 2, 5).astype(np.float32), tuple(weights))


@pytest.mark.parametrize("members", [1, 3])
def test_the_file_gives_what_keras_reads_from_it(tmp_path: Path, members: int) -> None:
    save(ensemble(members), tmp_path / "model.keras", tmp_path / "templates")
    ours, theirs = read_network(tmp_path / "model.keras"), load(tmp_path / "model.keras")
    assert ours.spec == theirs.spec
    assert (ours.mean.tobytes(), ours.std.tobytes()) == (theirs.mean.tobytes(), theirs.std.tobytes())
    assert len(ours.members) == len(theirs.members) == members
    for one, other in zip(ours.members, theirs.members, strict=True):
        assert {name: (v.dtype, v.tobytes()) for name, v in one.items()} == {name: (v.dtype, v.tobytes()) for name, v in other.items()}


@pytest.mark.parametrize("members", [1, 3])
def test_keras_opens_the_file_as_the_network_that_it_would_have_written_itself(tmp_path: Path, members: int) -> None:
    import keras

    model = ensemble(members)
    save(model, tmp_path / "model.keras", tmp_path / "templates")
    opened = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    built = network(model.spec, members)
    assert [(layer.name, layer.get_config()) for layer in opened.layers] == [(layer.name, layer.get_config()) for layer in built.layers]
    assert [weight.shape for weight in opened.weights] == [weight.shape for weight in built.weights]


def test_equal_networks_make_equal_numbers_and_words_in_their_files(tmp_path: Path) -> None:
    contents = []
    for name in ("one.keras", "other.keras"):
        save(ensemble(2), tmp_path / name, tmp_path / "templates")
        with zipfile.ZipFile(tmp_path / name) as archive:
            contents.append({part: archive.read(part) for part in archive.namelist()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("damage", ["short", "flipped", "empty", "absent"])
def test_a_damaged_file_says_so(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.keras"
    save(ensemble(1), path, tmp_path / "templates")
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        flipped = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 255]) + data[len(data) // 2 + 1 :]
        path.write_bytes({"short": data[: len(data) // 2], "flipped": flipped, "empty": b""}[damage])
    with pytest.raises(FingerprintMismatch, match="train again"):
        read_network(path)
