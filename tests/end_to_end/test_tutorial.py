"""Every command of docs/tutorial.md, in its order, in a folder that holds only the files that the page says."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests import PATIENCE_S, ROOT
from tests.processes import begin

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def files() -> dict[str, str]:
    """The files that the page asks for, by name."""
    found = re.findall(r"into `([\w.]+)`:\n\n```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
    return dict(found)


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^python .*$", PAGE, re.M)]


def test_the_page_has_its_files_and_commands() -> None:
    assert list(files()) == ["my_model.py", "penalties.yaml", "my_strategy.py"]
    assert len(commands()) == 8


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "config.yaml").write_text("", encoding="utf-8")
    for words in commands():
        _, first, *rest = words
        name = rest[0] if first == "-m" else str(ROOT / first)
        started = ["-m", f"forwardtrader.{name}", *rest[1:]] if first == "-m" else [name, *rest]
        process = begin([sys.executable, *started], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
        said, complained = process.communicate(timeout=10 * PATIENCE_S)
        assert process.returncode == 0, (shlex.join(words), said[-2000:], complained[-2000:])
    assert (tmp_path / "var" / "sessions" / "tutorial" / "parity.html").is_file()
