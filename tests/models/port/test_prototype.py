"""Naming a forecaster: what is found, what is refused, and what makes it another one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.port.base_forecaster import Answer
from forwardtrader.models.port.prototype import context_of, identity, named_forecaster, prototype
from forwardtrader.models.port.sample_panel import SamplePanel
from tests import ROOT
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
    ("spec", "params"),
    [
        ("ridge", {"penalty": "high"}), ("ridge", {"penalty": [1]}), ("ridge", {"penalty": True}), ("ridge", {"penalty": float("inf")}),
        ("lightgbm", {"num_leaves": "many"}), ("mean", {"forecasters": 3}), ("panel", {"own": "a quarter"}),
    ],
)  # fmt: skip
def test_a_parameter_of_a_forecaster_that_comes_along_is_of_its_defaults_kind(spec: str, params: dict[str, object]) -> None:
    name = next(iter(params))
    settings = ModelSettings().model_copy(update={"forecaster": spec, "params": params})
    with pytest.raises(ConfigError, match=rf"models\.params\.{name}: the default is .*, and .* is nothing of that kind"):
        prototype(settings)


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


def test_tables_and_long_arrays_are_told_apart_by_all_that_they_hold() -> None:
    """Their text leaves out the middle: a run with other weights would be served the models of the first."""
    long = np.arange(5000.0)
    changed = long.copy()
    changed[2500] = -1.0
    assert repr(long) == repr(changed)
    for kind in (np.asarray, lambda each: [each], pd.Series, pd.DataFrame, lambda each: each.astype(object)):
        same, other = identity(Ridge(penalty=kind(long))), identity(Ridge(penalty=kind(changed)))  # type: ignore[arg-type, operator]
        assert same == identity(Ridge(penalty=kind(long.copy()))) != other  # type: ignore[arg-type, operator]
    assert identity(Ridge(penalty=pd.Series(long))) != identity(Ridge(penalty=pd.Series(long, index=long + 1)))  # type: ignore[arg-type]


class Shortened:
    def __repr__(self) -> str:
        return "Shortened(1, 2, ..., 9)"


def test_a_parameter_whose_text_leaves_something_out_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="holds a Shortened, by which no later run can tell"):
        identity(Ridge(penalty=Shortened()))  # type: ignore[arg-type]


class Catching(Ridge):
    def __init__(self, **params: float) -> None:
        super().__init__()
        self.params = params


class Listing(Ridge):
    def __init__(self, *penalties: float) -> None:
        super().__init__()
        self.penalties = penalties


class Nameless(Ridge):
    def __init__(self, penalty: float = 1.0, /) -> None:
        super().__init__(penalty)


class Renaming(Ridge):
    def __init__(self, strength: float = 1.0) -> None:
        super().__init__(strength)


catching = Catching(depth=3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Catching", r"Catching\.__init__ takes \*\*params, which no clone has; name each parameter"),
        ("catching", r"Catching\.__init__ takes \*\*params"),
        ("Listing", r"Listing\.__init__ takes \*penalties"),
        ("Nameless", r"Nameless\.__init__ takes penalty, /"),
    ],
)
def test_parameters_that_a_clone_would_lose_are_refused_before_anything_is_fitted(name: str, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        prototype(named(f"{__name__}:{name}"))


def test_a_parameter_that_is_kept_under_another_name_is_told() -> None:
    with pytest.raises(InvalidSetting, match=r"Renaming has no attribute strength; in __init__ write self\.strength = strength"):
        Renaming().clone()


def build_one(inputs: object, units: int = 4) -> object:
    return [inputs, units]


def build_other(inputs: object, units: int = 4) -> object:
    return [units, inputs]


def made(factor: int) -> Any:
    class Scaled(Ridge):
        def predict(self, panel: SamplePanel) -> Answer:
            return np.asarray(super().predict(panel)) * factor

    def build(inputs: object, units: int = factor) -> object:
        return [inputs, units]

    return Scaled(), build


class Holding(Ridge):
    def __init__(self, build: Any = None) -> None:
        super().__init__()
        self.build = build


def test_functions_of_one_file_make_other_forecasters() -> None:
    two = [lambda x: x + 1, lambda x: x + 2]
    given = [
        build_one,
        build_other,
        *two,
        made(2)[1],
        made(3)[1],
        "a".join,
        "b".join,
        partial(build_one, units=2),
        partial(build_one, units=3),
    ]
    found = [identity(Holding(each)) for each in given]
    assert len(set(found)) == len(given)
    assert [identity(Holding(each)) for each in given] == found
    assert identity(Holding({"a", "b", "c"})) == identity(Holding({"c", "b", "a"}))


def test_classes_that_closed_over_other_values_are_others() -> None:
    assert identity(made(2)[0]) == identity(made(2)[0]) != identity(made(3)[0])


def test_the_identity_is_the_same_in_another_process() -> None:
    words = (
        "from tests.models.port.test_prototype import *\n"
        "from sklearn.ensemble import HistGradientBoostingRegressor\n"
        "from sklearn.linear_model import LinearRegression\nfrom sklearn.pipeline import make_pipeline\n"
        "print(identity(Holding(HistGradientBoostingRegressor())), identity(Holding(make_pipeline(LinearRegression()))), "
        "identity(Holding(build_one)), identity(Holding({'x', 'y', 'z'})), identity(made(2)[0]), identity(Nearest()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", words], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
