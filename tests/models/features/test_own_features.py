"""A user's own feature is marked, named by its file, and kept under a name that changes with its code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forwardtrader as ft
from forwardtrader.core.errors import ConfigError, FeatureFailed, FingerprintMismatch, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import matrix, named, warm_up
from forwardtrader.models.features.own_features import OwnFeature, at_hand, chosen_name, defined, short_name
from tests.models.bars import simulated_bars
from tests.models.features.own import NAMES

HOUR = Timeframe.parse("1h")


def test_the_mark_leaves_the_function_as_it_is() -> None:
    @ft.feature(warm_up=2)
    def gap(bars: Bars) -> Any:
        return bars.open - ft.lag(bars.close, 1)

    bars = Bars.of(simulated_bars(5))
    np.testing.assert_array_equal(gap(bars)[1:], bars.open[1:] - bars.close[:-1])


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "24", True, None])
def test_a_warm_up_that_is_no_number_of_bars_is_refused_with_its_line(wrong: Any) -> None:
    with pytest.raises(InvalidSetting, match=r"feature unready \(test_own_features\.py:\d+\): warm_up is a whole number of bars from 1"):

        @ft.feature(warm_up=wrong)
        def unready(bars: Bars) -> Any: ...


def test_a_function_without_a_name_needs_one() -> None:
    with pytest.raises(InvalidSetting, match="a function with a name"):
        ft.feature(warm_up=1)(lambda bars: bars.close)
    assert ft.feature(warm_up=1, name="plain_close")(lambda bars: bars.close) is not None


def test_a_file_names_its_features(own_file: Path) -> None:
    for spec in ("my_own_features.py:*", "my_own_features:*", f"{own_file}:*"):
        assert [own.name for own in defined(spec)] == list(NAMES)
    assert [own.name for own in defined("my_own_features.py:mean_*")] == ["mean_of_3", "mean_of_5"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("my_own_features.py:squeze", "there is no feature squeze; did you mean 'squeeze'?"),
        ("my_own_features.py:unmarked", r"unmarked is there, but not marked: write @feature(warm_up=...) above it"),
        ("my_own_features.py:Q", "there is no feature Q; it has squeeze, trend_4h"),
        ("gone.py:squeeze", "there is no module gone.py"),
        ("gone:squeeze", "there is no module gone"),
        (":squeeze", "write it as MODULE:NAME"),
        ("my_own_features.py:", "write it as MODULE:NAME"),
    ],
)
def test_a_feature_that_is_not_there_is_named_with_the_mend(own_file: Path, spec: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        defined(spec)
    assert words in str(caught.value) and repr(spec) in str(caught.value)


def test_the_name_changes_with_the_code_and_with_the_warm_up_alone(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [before] = defined("my_own_features.py:squeeze")
    name = chosen_name(before)
    assert short_name(name) == "squeeze" and name == chosen_name(before)
    assert chosen_name(OwnFeature("squeeze", 25, before.function)) != name
    elsewhere = own_file.parent / "folder"
    elsewhere.mkdir()
    copy = elsewhere / own_file.name
    copy.write_text(own_file.read_text())
    assert chosen_name(defined(f"{copy}:squeeze")[0]) == name
    edited = elsewhere / "my_own_features_edited.py"
    edited.write_text(own_file.read_text().replace("squeeze(bars)", "squeeze( bars)"))
    assert chosen_name(defined(f"{edited}:squeeze")[0]) != name


def test_a_model_is_never_given_a_feature_of_other_code(own_file: Path) -> None:
    name = chosen_name(defined("my_own_features.py:squeeze")[0])
    assert at_hand(name) is named(name) and named(name).is_own
    with pytest.raises(FingerprintMismatch, match="trained with other code of the feature squeeze; put the code back as it was"):
        warm_up(("squeeze@00000000",))
    with pytest.raises(FingerprintMismatch, match=r"the feature nobody, which is not at hand; name it under models\.features"):
        warm_up(("nobody@00000000",))


def test_what_a_feature_does_to_its_bars_changes_nothing() -> None:
    def vandal(bars: Bars) -> Any:
        bars.close[:] = 0.0
        return bars.open

    bars = Bars.of(simulated_bars(50))
    OwnFeature("vandal", 1, vandal).compute(bars)
    assert (bars.close > 0).all()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda bars: bars.close[1:], r"one number for each bar, shape (50,); it returned shape (49,)"),
        (lambda bars: np.stack([bars.close, bars.open]), r"it returned shape (2, 50)"),
        (lambda bars: 1.0, "it returned a single value, or none"),
        (lambda bars: None, "it returned a single value, or none"),
        (lambda bars: bars.clsoe, "AttributeError: 'Bars' object has no attribute 'clsoe'"),
        (lambda bars: bars.resample("90m").close, "bars of 60 minutes cannot be joined to bars of 90m"),
        (lambda bars: bars.resample("4x").close, "timeframe '4x' is not known"),
        (lambda bars: ["a"] * len(bars), "return numbers"),
        (lambda bars: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_whatever_a_feature_answers_instead_is_told_with_its_line(body: Any, words: str) -> None:
    with pytest.raises(FeatureFailed) as caught:
        OwnFeature("odd", 1, body).compute(Bars.of(simulated_bars(50), HOUR))
    assert words in str(caught.value) and str(caught.value).startswith("feature odd (test_own_features.py:")


def test_the_rows_that_warm_up_are_unknown_and_other_kinds_of_numbers_are_taken() -> None:
    bars = Bars.of(simulated_bars(50))
    rises = OwnFeature("rises", 4, lambda bars: bars.close > bars.open).compute(bars)
    assert np.isnan(rises[:3]).all() and set(rises[3:]) <= {0.0, 1.0} and rises.dtype == np.float64


def test_own_columns_stand_beside_those_of_the_catalogue(own_file: Path) -> None:
    name, bars = chosen_name(defined("my_own_features.py:squeeze")[0]), Bars.of(simulated_bars(300))
    both = matrix(bars, ("move_6", name))
    np.testing.assert_array_equal(both[:, 0], matrix(bars, ("move_6",))[:, 0])
    assert np.isnan(both[:23, 1]).all() and np.isfinite(both[23:, 1]).all()


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda bars: sys.exit(3), "SystemExit: 3"),
        (lambda bars: bars.close + 1j, "values of type complex128; return numbers"),
        (lambda bars: ["1.0"] * len(bars), "values of type <U3; return numbers"),
    ],
)
def test_what_ends_the_process_or_is_no_number_is_told_as_the_features(function: Any, told: str) -> None:
    with pytest.raises(FeatureFailed, match=told):
        OwnFeature("odd", 1, function).compute(Bars.of(simulated_bars(50)))


def test_what_a_feature_does_to_the_process_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moves(bars: Bars) -> Any:
        os.chdir("/")
        np.seterr(all="raise")
        return bars.close

    monkeypatch.chdir(tmp_path)
    before = np.geterr()
    OwnFeature("moves", 1, moves).compute(Bars.of(simulated_bars(50)))
    assert Path.cwd() == tmp_path and np.geterr() == before
