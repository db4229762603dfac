"""Naming a forecaster: what is found, what is refused, and what makes it another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.port.prototype import context_of, identity, named_forecaster, prototype
from tests.models.own_forecasters import Nearest, Ridge

OWN = "tests.models.own_forecasters"


def named(spec: str, **params: object) -> ModelSettings:
    return ModelSettings.model_validate({"forecaster": spec, "params": params})


def test_the_lstm_needs_no_prototype_and_takes_no_params() -> None:
    assert prototype(ModelSettings()) is None
    assert context_of(ModelSettings(context=30)) == 30
    with pytest.raises(ConfigError, match=r"models\.params"):
        prototype(named("lstm", units=3))


def test_classes_and_objects_are_named_with_their_parameters() -> None:
    assert repr(prototype(named(f"{OWN}:Ridge", penalty=2.5))) == "Ridge(penalty=2.5)"
    assert repr(prototype(named(f"{OWN}:RIDGE"))) == "Ridge(penalty=3.0)"
    assert repr(prototype(named(f"{OWN}:RIDGE", penalty=1))) == "Ridge(penalty=1)"
    assert context_of(named(f"{OWN}:Nearest")) == 8
    assert named_forecaster(named("mine.py:Ridge")) == "Ridge"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("ridgy", "write it as MODULE:CLASS"),
        ("nowhere:Ridge", "there is no module nowhere"),
        ("nowhere.py:Ridge", "there is no module nowhere.py"),
        (f"{OWN}:Rigde", "did you mean 'Ridge'"),
        (f"{OWN}:np", "neither a forwardtrader.BaseForecaster nor a subclass"),
        (f"{OWN}:BaseForecaster", "lacks fit, predict"),
    ],
)
def test_what_is_no_forecaster_is_refused_in_one_line(spec: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        prototype(named(spec))
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_an_unknown_parameter_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"models\.params\.penalti: .*did you mean 'penalty'"):
        prototype(named(f"{OWN}:Ridge", penalti=2))


def test_a_file_that_fails_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "broken_forecaster.py"
    file.write_text("import forwardtrader as ft\n\nx = 1 / 0\n")
    with pytest.raises(ConfigError, match=r"broken_forecaster.py:3 in <module>: ZeroDivisionError"):
        prototype(named(f"{file}:Mine"))


def test_parameters_and_source_make_another_forecaster(tmp_path: Path) -> None:
    assert identity(Ridge(1.0)) == identity(Ridge(1.0)) != identity(Ridge(2.0))
    assert identity(Nearest()) != identity(Nearest(seed=1))
    longer = Ridge(1.0)
    longer.warm_up = 2
    assert identity(longer) != identity(Ridge(1.0))
    text = "from tests.models.own_forecasters import Ridge\n\n\nclass Mine(Ridge):\n    pass\n"
    found = []
    for number, more in enumerate(("", "    twice = 2\n")):
        file = tmp_path / f"own{number}" / "identity_of_mine.py"
        file.parent.mkdir()
        file.write_text(text + more)
        found.append(prototype(named(f"{file}:Mine")))
    assert found[0] is not None and found[1] is not None and identity(found[0]) != identity(found[1])


def test_a_parameter_that_looks_otherwise_in_every_process_is_refused() -> None:
    """Models would be trained again at each start, and a session could not read its own."""
    with pytest.raises(InvalidSetting, match="holds a RandomState"):
        identity(Ridge(penalty=np.random.RandomState(0)))  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match="holds a object, by"):
        identity(Ridge(penalty=object()))  # type: ignore[arg-type]
    assert identity(Ridge(penalty=np.float64(2.0))) == identity(Ridge(penalty=np.float64(2.0)))
