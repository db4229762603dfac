"""The fingerprint of a user's code covers the file, and every file of the user's that it imports, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.user_code.code_fingerprint import source_fingerprint
from forwardtrader.core.user_code.modules import user_module

FILES = {
    "fp_main.py": (
        "import json\nimport numpy as np\nfrom fp_beside import scale\nfrom fp_package import deep\n\n\ndef f(x):\n    return scale(x)\n"
    ),
    "fp_beside.py": "from fp_numbers import N\n\n\ndef scale(x):\n    return x * N\n",
    "fp_numbers.py": "N = 2\n",
    "fp_package/__init__.py": "from .deep import M\n",
    "fp_package/deep.py": "M = 3\n",
    "fp_unused.py": "K = 1\n",
}


@pytest.fixture
def fingerprint_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The fingerprint of `f` in a folder with some of the files changed."""

    def made(folder: str, **changed: str) -> str:
        home = tmp_path / folder
        for name, text in FILES.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(changed.get(Path(name).stem, text))
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name in [name for name in sys.modules if name.startswith("fp_")]:
            monkeypatch.delitem(sys.modules, name)
        module: Any = user_module("fp_main.py", "test")
        return source_fingerprint(module.f)

    return made


def test_equal_code_has_one_fingerprint_wherever_it_lies(fingerprint_of: Callable[..., str]) -> None:
    assert fingerprint_of("here") == fingerprint_of("there")


@pytest.mark.parametrize("name", ["fp_main", "fp_beside", "fp_numbers", "deep"])
def test_an_edit_of_any_file_that_it_is_made_of_changes_the_fingerprint(fingerprint_of: Callable[..., str], name: str) -> None:
    source = next(text for file, text in FILES.items() if Path(file).stem == name)
    assert fingerprint_of("before") != fingerprint_of("after", **{name: source + "\nEDITED = True\n"})


def test_files_that_it_does_not_import_do_not_count(fingerprint_of: Callable[..., str]) -> None:
    assert fingerprint_of("before") == fingerprint_of("after", fp_unused="K = 2\n")


def test_code_without_a_file_counts_by_what_it_does() -> None:
    def made(text: str) -> Any:
        space: dict[str, Any] = {"__name__": "no_module_of_this_name"}
        exec(text, space)
        return space["f"]

    first = source_fingerprint(made("def f(x):\n    return [y in {1, 2, 3} for y in x]\n"))
    assert first == source_fingerprint(made("\n\ndef f(x):\n    return [y in {1, 2, 3} for y in x]\n"))
    assert first != source_fingerprint(made("def f(x):\n    return [y in {1, 2, 4} for y in x]\n"))


def test_it_is_the_same_in_every_process(fingerprint_of: Callable[..., str]) -> None:
    here = fingerprint_of("here")
    program = (
        "from forwardtrader.core.user_code.modules import user_module\n"
        "from forwardtrader.core.user_code.code_fingerprint import source_fingerprint\n"
        "print(source_fingerprint(user_module('fp_main.py', '').f))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == here
