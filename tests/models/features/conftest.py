"""A folder of a user's with a file of features in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.features.own import SOURCE


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file, in the working directory; its module is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "my_own_features.py"
    path.write_text(SOURCE)
    yield path
    for name in [name for name in sys.modules if name.startswith("my_own_features")]:
        del sys.modules[name]
