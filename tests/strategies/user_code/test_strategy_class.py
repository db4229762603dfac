"""A user's class is found by module or file, whatever it is called, and takes parameters; mistakes are answered in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import backtrader as bt
import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.strategies.user_code.strategy_class import load_strategy, with_params


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


GOOD = "import backtrader as bt\nclass Trend(bt.Strategy):\n    pass\nclass Thing:\n    pass\n"


@pytest.mark.parametrize("spec", ["house_trend:Trend", "house_trend.py:Trend"])
def test_a_strategy_is_loaded_from_the_working_directory(folder: Path, spec: str) -> None:
    (folder / "house_trend.py").write_text(GOOD)
    sys.modules.pop("house_trend", None)
    assert issubclass(load_strategy(spec), bt.Strategy)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("house_good", "write it as MODULE:CLASS"),
        (":Trend", "write it as MODULE:CLASS"),
        ("nowhere_at_all:Trend", "there is no module nowhere_at_all"),
        ("house_good:Trand", "has no class Trand; did you mean 'Trend'?"),
        ("house_good:Thing", "is not a subclass of backtrader.Strategy"),
        ("house_needs:Trend", "needs the module never_installed"),
        ("house_broken:Trend", "cannot be imported"),
    ],
)
def test_a_strategy_that_cannot_be_loaded_is_named_with_the_reason(folder: Path, spec: str, words: str) -> None:
    (folder / "house_good.py").write_text(GOOD)
    (folder / "house_needs.py").write_text("import never_installed\n")
    (folder / "house_broken.py").write_text("class Trend(:\n")
    with pytest.raises(ConfigError) as caught:
        load_strategy(spec)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["random", "pandas", "backtrader", "queue", "strategies"])
def test_a_file_may_have_the_name_of_any_module(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text(GOOD)
    found = load_strategy(f"{folder / name}.py:Trend")
    assert found.__name__ == "Trend"
    assert load_strategy(f"{folder / name}.py:Trend") is found
    assert load_strategy(f"{name}:Trend") is found


def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    for number, place in enumerate(("one", "two")):
        (folder / place).mkdir()
        (folder / place / "house_twin.py").write_text(GOOD + f"NUMBER = {number}\n")
    one, two = (load_strategy(f"{folder / place}/house_twin.py:Trend") for place in ("one", "two"))
    assert [sys.modules[kind.__module__].NUMBER for kind in (one, two)] == [0, 1]


def test_what_a_file_raises_while_it_is_read_is_told_with_its_line(folder: Path) -> None:
    (folder / "house_raises.py").write_text("import backtrader as bt\n\nWRONG = missing_name\n")
    with pytest.raises(ConfigError, match=r"house_raises.py:3 in <module>: NameError: name 'missing_name' is not defined"):
        load_strategy("house_raises.py:Trend")


PARAMS = """import backtrader as bt
class Trend(bt.Strategy):
    params = (("fast", 10), ("ratio", 0.5), ("eager", False), ("name", "a"), ("levels", (1, 2)), ("any", None))
"""


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("fast=20", "fast", 20),
        ("fast=0.5", "fast", 0.5),
        ("ratio=2", "ratio", 2),
        ("eager=true", "eager", True),
        ("name=20", "name", "20"),
        ("name=a=b:(c),'d'", "name", "a=b:(c),'d'"),
        ("levels=(3, 4)", "levels", (3, 4)),
        ("any=close", "any", "close"),
        ("any=7", "any", 7),
    ],
)
def test_a_parameter_is_read_as_its_default_is(folder: Path, text: str, name: str, value: object) -> None:
    (folder / "house_params.py").write_text(PARAMS)
    sys.modules.pop("house_params", None)
    spec = with_params("house_params.py:Trend", [text])
    found = load_strategy(spec)
    assert getattr(found.params, name) == value
    assert type(getattr(found.params, name)) is type(value)
    assert found.__name__ == "Trend"
    assert with_params("house_params.py:Trend", []) == "house_params.py:Trend"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fats=20", "Trend has no such parameter; did you mean 'fast'?"),
        ("fast", "write it as NAME=VALUE"),
        ("fast=quick", "the default is 10, and 'quick' is nothing of that kind"),
        ("fast=True", "nothing of that kind"),
        ("eager=1", "nothing of that kind"),
        ("levels=3", "nothing of that kind"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(folder: Path, text: str, words: str) -> None:
    (folder / "house_params.py").write_text(PARAMS)
    sys.modules.pop("house_params", None)
    with pytest.raises(ConfigError) as caught:
        with_params("house_params.py:Trend", [text])
    assert words in str(caught.value)


def test_parameters_without_a_strategy_are_refused() -> None:
    with pytest.raises(ConfigError, match="--set strategies"):
        with_params("", ["fast=3"])
