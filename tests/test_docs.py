"""What the pages for users name exists: commands with their flags, settings, files, and examples that are Python."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from core.settings import Settings
from live.control import Verb

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The words of every `python ...` command of a page, in fences and in code spans, without their comments."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^\s*(?:\$ )?(python (?:-m )?[\w./]+[^\n|`]*)$", text, re.M) + re.findall(r"`(python (?:-m )?[\w./]+[^`]*)`", text)
    return [shlex.split(command.replace("'", ""), comments=True) for command in found]


def source_of(words: list[str]) -> Path | None:
    """The file that a command starts."""
    if words[1] != "-m":
        return ROOT / words[1]
    folder = ROOT.joinpath(*words[2].split("."))
    return folder / "__main__.py" if folder.is_dir() else folder.with_suffix(".py")


def flags_of(room: str) -> set[str]:
    words = {f"--{word}" for word in ("status", *Verb)} if room == "live" else set()
    return words | {
        flag for path in (ROOT / room).glob("*.py") for flag in re.findall(r'"(--[a-z][a-z-]*)"', path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_starts_a_file_and_its_flags_are_known_there(page: Path) -> None:
    for words in commands(page):
        source = source_of(words)
        assert source is not None and source.is_file(), " ".join(words)
        room = {"run_backtest.py": "backtest", "run_live.py": "live"}.get(source.name, source.parent.name)
        unknown = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)} - flags_of(room) - {"--help"}
        assert not unknown, f"{' '.join(words)}: {sorted(unknown)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_or_module_that_a_page_names_is_there(page: Path) -> None:
    settings = Settings()
    rooms = {name: getattr(settings, name) for name in type(settings).model_fields}
    for room, name in re.findall(r"`([a-z]+)\.([a-z_]+)(?=[`= .(])", page.read_text(encoding="utf-8")):
        if room in rooms or (ROOT / room).is_dir():
            is_setting = room in rooms and hasattr(rooms[room], name)
            assert is_setting or (ROOT / room / f"{name}.py").is_file(), f"{page.name}: {room}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_is_python_whose_imports_exist(page: Path) -> None:
    for example in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert importlib.util.find_spec(node.module), node.module
