"""The command `forwardtrader`, and the names that the package offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import forwardtrader
from forwardtrader.__main__ import COMMANDS, Command, main
from tests import ROOT

HEAVY = ("numpy", "pandas", "pydantic", "backtrader", "jax", "keras", "rich", "yaml", "aiohttp", "ccxt")
SCRIPTS = (["run_backtest.py"], ["run_live.py"], *(["-m", name] for name in ("live.parity", "models.registry", "sandbox", "reports")))


def imported_for(words: list[str]) -> tuple[str, set[str]]:
    """What a command prints, and which of the heavy packages it imported."""
    done = subprocess.run([sys.executable, "-X", "importtime", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    return done.stdout, {name for name in HEAVY if name in names}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_nothing_that_takes_time(name: str) -> None:
    text, heavy = imported_for(["-m", "forwardtrader", name, "--help"])
    assert heavy == set()
    assert "examples:" in text and "--project DIR" in text


@pytest.mark.parametrize("words", SCRIPTS, ids=" ".join)
def test_help_of_a_script_imports_nothing_that_takes_time(words: list[str]) -> None:
    text, heavy = imported_for([*words, "--help"])
    assert heavy == set()
    assert "examples:" in text and "--project DIR" in text


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in COMMANDS] == list(COMMANDS)


def test_a_command_that_is_not_there_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bakctest"]) == 2
    assert capsys.readouterr().err == "forwardtrader has no command 'bakctest'; did you mean 'backtest'?; see forwardtrader --help\n"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_stands_where_the_table_says(command: Command) -> None:
    for place in (command.function, command.flags):
        module, _, name = place.partition(":")
        found = find_spec(f"forwardtrader.{module}")
        assert found is not None and found.origin is not None
        assert f"def {name}(" in Path(found.origin).read_text(encoding="utf-8")


def test_the_public_names_are_sorted_and_can_be_imported() -> None:
    assert forwardtrader.__all__ == sorted(forwardtrader.__all__) == sorted(forwardtrader._DEFINED_IN)
    for name in forwardtrader.__all__:
        assert getattr(forwardtrader, name).__doc__, name


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'LSTMForcast'"):
        _ = forwardtrader.LSTMForcast


def test_the_public_names_are_on_their_page() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in forwardtrader.__all__)


def test_importing_the_package_imports_nothing_that_takes_time() -> None:
    assert imported_for(["-c", "import forwardtrader"])[1] == set()
