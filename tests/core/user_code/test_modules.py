"""Modules of the user's: what stands beside them takes no name from a library that a session imports later."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from forwardtrader.core.user_code.modules import user_module


@pytest.mark.parametrize("beside", ["telegram/__init__.py", "prometheus_client.py", "calendar.py", "uvicorn.py"])
def test_a_file_beside_a_strategy_stands_before_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in ((beside, ""), ("mine_beside.py", "import own_beside\n"), ("own_beside.py", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    name = Path(beside).parts[0].removesuffix(".py")
    monkeypatch.delitem(sys.modules, name, raising=False)
    user_module(str(tmp_path / "mine_beside.py"), "--strategy")
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None and not found.origin.startswith(str(tmp_path))
    for own in ("mine_beside", "own_beside"):
        sys.modules.pop(own)  # for good: monkeypatch would put it back


def test_a_module_beside_it_is_found_before_what_was_installed_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_beside.py").write_text("import conftest\nPLACE = conftest.__file__\n")
    (tmp_path / "conftest.py").write_text("")
    monkeypatch.delitem(sys.modules, "conftest", raising=False)
    assert str(tmp_path / "conftest.py") == user_module(str(tmp_path / "mine_beside.py"), "--strategy").PLACE
    sys.modules.pop("mine_beside")
