"""What the pages for users name exists: commands with their flags, settings, files, and examples that are Python."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import re
import shlex
import subprocess
import venv
from pathlib import Path

import pytest

from forwardtrader.__main__ import COMMANDS
from forwardtrader.core import errors
from forwardtrader.core.command import installed
from forwardtrader.core.command.flags import with_project
from forwardtrader.core.settings import Settings
from forwardtrader.live.control import ControlCommand
from tests import PATIENCE_S, ROOT
from tests.alert_names import alert_names

ENTER = "source .venv/bin/activate"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The words of every `python ...` command of a page, in fences and in code spans, without their comments."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^\s*(?:\$ )?(python (?:-m )?[\w./]+[^\n|`]*)$", text, re.M) + re.findall(r"`(python (?:-m )?[\w./]+[^`]*)`", text)
    return [shlex.split(command.replace("'", ""), comments=True) for command in found]


def own_commands(page: Path) -> list[list[str]]:
    """The words behind `forwardtrader` of each such command of a page, in fences and in code spans, without comments."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^\s*(?:\$ )?forwardtrader ([a-z][^\n|`]*)$", text, re.M) + re.findall(r"`forwardtrader ([a-z][^`\n|]*)`", text)
    return [shlex.split(command.replace("'", ""), comments=True) for command in found]


def source_of(words: list[str]) -> Path | None:
    """The file that a command starts."""
    if words[1] != "-m":
        return ROOT / words[1]
    folder = ROOT.joinpath(*words[2].split("."))
    return folder / "__main__.py" if folder.is_dir() else folder.with_suffix(".py")


def is_shown(page: Path) -> bool:
    return page.name != "CHANGELOG.md" and bool(commands(page))


@pytest.mark.parametrize("page", [page for page in PAGES if is_shown(page)], ids=lambda page: page.name)
def test_a_page_says_how_the_environment_is_entered_before_its_first_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    first = re.search(r"(?m)^\s*(?:\$ )?python |`python ", text)
    assert first is not None
    assert ENTER in text[: first.start()]


def test_what_the_pages_say_enters_the_environment() -> None:
    if not (ROOT / ".venv/bin/activate").is_file():
        pytest.skip("this checkout has no .venv; make backtest makes it")
    asked = f"{ENTER} && python -c 'import sys, numpy; print(sys.prefix)'"
    found = subprocess.check_output(["bash", "-c", asked], cwd=ROOT, text=True, env={"PATH": "/usr/bin:/bin"}).strip()
    assert Path(found).resolve() == (ROOT / ".venv").resolve()


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without any package, as a system's is."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize("page", [page for page in PAGES if is_shown(page)], ids=lambda page: page.name)
def test_a_command_that_is_typed_outside_of_it_ends_in_one_line_that_says_so(page: Path, bare_python: Path, tmp_path: Path) -> None:
    for words in {tuple(words[: 3 if words[1] == "-m" else 2]) for words in commands(page)}:
        done = subprocess.run(
            [str(bare_python), *words[1:]],
            cwd=ROOT,
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, ""), (words, done.stderr)
        assert done.stderr.endswith(f"packages; {installed.MEND}\n") and done.stderr.count("\n") == 1, words


def test_whoever_imports_us_from_elsewhere_gets_an_import_error(bare_python: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("try:\n    import forwardtrader.strategies.backtrader.indicator\nexcept ImportError as error:\n    print(error)\n")
    said = subprocess.check_output([str(bare_python), str(program)], env={"PYTHONPATH": str(ROOT)}, text=True)
    assert said.endswith(f"{installed.MEND}\n")


def test_the_packages_that_are_looked_for_are_those_of_the_set_up() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in ("live", "firestore"))]
    names = {re.split(r"[>=<;]", line)[0].strip() for text in required for line in text.split("\n") if line.strip()} - {"uvloop"}
    others = {"firebase-admin": "firebase_admin", "python-dotenv": "dotenv", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    others["prometheus-client"] = "prometheus_client"
    assert sorted(others.get(name, name) for name in names) == sorted(installed.PACKAGES)
    assert set(installed._TELLING) <= set(installed.PACKAGES)


@pytest.mark.parametrize("path", ["run_backtest.py", "run_live.py", "core/__init__.py", "core/command/installed.py", "live/__init__.py"])
def test_what_is_read_before_the_version_is_looked_at_can_be_read_by_an_old_python(path: str) -> None:
    ast.parse((ROOT / path).read_text(encoding="utf-8"), feature_version=(3, 8))


def flags_of(room: str) -> set[str]:
    words = {f"--{word}" for word in ("status", *ControlCommand)} if room == "live" else set()
    return words | {
        flag for path in (ROOT / room).rglob("*.py") for flag in re.findall(r'"(--[a-z][a-z-]*)"', path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_starts_a_file_and_its_flags_are_known_there(page: Path) -> None:
    for words in commands(page):
        source = source_of(words)
        assert source is not None and source.is_file(), " ".join(words)
        room = {"run_backtest.py": "backtest", "run_live.py": "live"}.get(source.name, source.relative_to(ROOT).parts[0])
        unknown = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)} - flags_of(room) - {"--help"}
        assert not unknown, f"{' '.join(words)}: {sorted(unknown)}"


@pytest.mark.parametrize("page", [page for page in PAGES if own_commands(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood_by_its_own_parser(page: Path) -> None:
    for name, *flags in own_commands(page):
        module, _, parser = COMMANDS[name].flags.partition(":")
        whole = with_project(getattr(importlib.import_module(f"forwardtrader.{module}"), parser)())
        if flags and "--help" not in flags:
            whole.parse_args(flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_or_module_that_a_page_names_is_there(page: Path) -> None:
    settings = Settings()
    rooms = {name: getattr(settings, name) for name in type(settings).model_fields}
    for path in re.findall(r"`([a-z]+(?:\.[a-z_]+)+)(?=[`= .(])", page.read_text(encoding="utf-8")):
        room, *names = path.split(".")
        is_setting = room in rooms and hasattr(rooms[room], names[0])
        if names != ["py"] and not is_setting and (room in rooms or (ROOT / room).is_dir()):
            place = ROOT.joinpath(room, *names)
            found = any(p.with_suffix(".py").is_file() for p in (place, place.parent)) or place.is_dir()
            assert found, f"{page.name}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8")):
        assert (ROOT / file).is_file() and f"def {name}" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name}: {file}::{name}"


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


def test_every_alert_has_its_line_in_the_table_for_the_night() -> None:
    named = alert_names()
    table = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8").partition("### By alert")[2]
    assert len(named) > 25
    assert {name for name in named if f"`{name}`" not in table} == set()


def test_every_exit_code_has_its_line_in_the_table_for_the_night() -> None:
    codes = {error.exit_code for error in vars(errors).values() if isinstance(error, type) and issubclass(error, errors.TradingError)}
    table = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8").partition("### By exit code")[2]
    assert {code for code in codes if f"\n| {code} |" not in table} == set()
