"""Keras builds a network once; whatever is saved later fills the template that is kept of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.forecasters.lstm import network, save
from forwardtrader.models.forecasters.network_template import Template, template
from tests.models.forecasters.test_network_file import ensemble

ROOT = Path(__file__).parents[3]
MODEL = ensemble(1)
SAVED_WITHOUT_KERAS = """
import sys
from pathlib import Path
from tests.models.forecasters.test_network_file import ensemble
from forwardtrader.models.forecasters.lstm import save
save(ensemble(1), Path(sys.argv[1]) / "second.keras", Path(sys.argv[1]) / "templates")
sys.exit("keras" in sys.modules)
"""


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_process_that_finds_the_template_saves_the_same_bytes_without_keras(tmp_path: Path) -> None:
    save(MODEL, tmp_path / "first.keras", tmp_path / "templates")
    (kept,) = (tmp_path / "templates").iterdir()
    before = kept.read_bytes()
    subprocess.run([sys.executable, "-c", SAVED_WITHOUT_KERAS, str(tmp_path)], check=True, cwd=ROOT)
    assert parts(tmp_path / "first.keras") == parts(tmp_path / "second.keras")
    assert kept.read_bytes() == before


def test_each_architecture_has_a_template_of_its_own_that_plain_keras_opens(tmp_path: Path) -> None:
    import keras

    for members in (1, 2):
        save(ensemble(members), tmp_path / f"{members}.keras", tmp_path / "templates")
    shapes = [keras.saving.load_model(path, compile=False).output_shape for path in (tmp_path / "templates").iterdir()]
    assert shapes == [(None, 2, 6)] * 2


@pytest.mark.parametrize("damage", [b"", b"not an archive"])
def test_a_template_that_cannot_be_read_is_built_again(tmp_path: Path, damage: bytes) -> None:
    save(MODEL, tmp_path / "model.keras", tmp_path / "templates")
    (kept,) = (tmp_path / "templates").iterdir()
    kept.write_bytes(damage)
    save(MODEL, tmp_path / "again.keras", tmp_path / "templates")
    assert len(kept.read_bytes()) > 1000


def test_callers_that_build_the_same_template_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    built = network(MODEL.spec, 1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: template(tmp_path, "same", lambda: built), range(4)))
    assert len({each.config for each in found}) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_arrays_of_another_network_are_refused() -> None:
    kept, wrong = Template(b"{}", {"layers/dense/vars/0": (3, 2)}), np.zeros((2, 2))
    arrays: dict[str, Any] = {"layers/dense/vars/0": wrong}
    with pytest.raises(FingerprintMismatch, match="another order"):
        kept.filled(arrays)
