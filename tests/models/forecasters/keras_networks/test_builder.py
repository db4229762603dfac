"""What a user's `build` is called with: its inputs by position, the options by name, and nothing else."""

from __future__ import annotations

import functools
from pathlib import Path

import keras
import pytest

from forwardtrader import KerasForecaster
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.port.prototype import prototype
from tests.models.forecasters.keras_networks.samples import samples

HERE = "tests.models.forecasters.keras_networks.test_builder"
GIVEN: list[tuple[tuple[object, ...], dict[str, object]]] = []


def records(*positional, **named):
    GIVEN.append((positional, named))
    return needs_units(*positional, units=named["units"])


def without(inputs):
    return needs_units(inputs, 2)


def needs_units(inputs, units):
    return keras.Model(inputs, keras.layers.Dense(units)(keras.layers.Flatten()(inputs)))


def needs_another(inputs, horizons, *, units=2):
    return needs_units(inputs, units * horizons)


def takes_nothing():
    raise AssertionError("it is not called")


def by_name_alone(*, inputs):
    return without(inputs)


class Maker:
    def __call__(self, inputs, units):
        return needs_units(inputs, units)


lacks_units = KerasForecaster(needs_units)
SMALL = {"context": 6, "epochs": 1, "batch": 4}


def test_it_is_given_inputs_by_position_and_the_options_by_name_and_nothing_else() -> None:
    GIVEN.clear()
    KerasForecaster(records, options={"units": 3}, **SMALL)._network(4, 2).initial(5)
    assert GIVEN
    assert all(len(positional) == 1 and named == {"units": 3} for positional, named in GIVEN)


@pytest.mark.parametrize(
    ("build", "options"),
    [(without, None), (without, {}), (needs_units, {"units": 2}), (functools.partial(needs_units, units=2), None), (Maker(), {"units": 2})],
)
def test_one_with_fewer_keywords_or_others_works(build: object, options: dict[str, object] | None) -> None:
    assert KerasForecaster(build, options=options, **SMALL)._network(4, 2).variables


@pytest.mark.parametrize(
    ("build", "options", "said"),
    [
        (
            needs_units,
            None,
            r"needs_units \(test_builder.py:\d+\) cannot be called as build\(inputs\): missing a required argument: 'units'",
        ),
        (needs_another, {"units": 2}, r"test_builder.py:\d+\) cannot be called as build\(inputs, units=...\): .*'horizons'"),
        (without, {"units": 2}, r"without \(test_builder.py:\d+\) .* got an unexpected keyword argument 'units'"),
        (without, {"inputs": 2}, r"multiple values for argument 'inputs'"),
        (takes_nothing, None, r"takes_nothing \(test_builder.py:\d+\) .*too many positional arguments; it is given inputs by position"),
        (by_name_alone, None, r"by_name_alone \(test_builder.py:\d+\) .*too many positional arguments"),
        (Maker(), None, r"Maker \(test_builder.py:\d+\) .*missing a required argument: 'units'"),
        (functools.partial(without, units=2), None, r"without \(test_builder.py:\d+\) .*incorrect arguments"),
        (without, "units=2", "options is 'units=2'; it maps keywords of build to values"),
        ("gru", None, "build is a str; give a function"),
        (None, None, "build is a NoneType; give a function"),
    ],
)
def test_one_that_cannot_be_called_so_is_told_with_file_and_line_before_anything_is_trained(build, options, said: str) -> None:
    for call in (
        lambda: KerasForecaster(build, options=options).set_params(),
        lambda: KerasForecaster(build, options=options).fit(samples(200)),
    ):
        with pytest.raises(InvalidSetting, match=said) as refused:
            call()
        assert "\n" not in str(refused.value)


def test_a_network_in_place_of_a_function_is_refused_since_all_folds_would_share_its_weights() -> None:
    with pytest.raises(InvalidSetting, match="build is a Sequential; give a function that makes a new network"):
        KerasForecaster(keras.Sequential([keras.layers.Dense(2)])).fit(samples(200))


def knobs(path: Path, **params: object) -> ModelSettings:
    return ModelSettings.model_validate({"forecaster": f"{HERE}:lacks_units", "params": params, "save_path": str(path)})


def test_what_build_lacks_may_be_set_from_outside_and_is_else_refused_before_the_first_fold(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="missing a required argument: 'units'"):
        prototype(knobs(tmp_path))
    made = prototype(knobs(tmp_path, units=3))
    assert isinstance(made, KerasForecaster) and made.options == {"units": 3}
    with pytest.raises(InvalidSetting, match=r"KerasForecaster has no parameter unit; it has build, .*; its build has units"):
        prototype(knobs(tmp_path, unit=3))
