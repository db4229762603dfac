"""The check of a user's feature lets honest ones through and names what is wrong with others, with the line and the mend."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forwardtrader as ft
from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES
from forwardtrader.models.features.feature_checks import checked
from forwardtrader.models.features.own_features import OwnFeature, defined
from tests.models.features.own import NAMES

HOUR = Timeframe.parse("1h")
COUNTER = itertools.count()


def returned(bars: Bars) -> Any:
    return np.nan_to_num(bars.close / ft.lag(bars.close, 1) - 1.0)


def mean_of_all(bars: Bars) -> Any:
    return bars.close - bars.close.mean()


def scaled_by_the_last(bars: Bars) -> Any:
    return bars.close / bars.close[-1]


def filled_backwards(bars: Bars) -> Any:
    return pd.Series(np.where(bars.volume > np.median(bars.volume[:50]), bars.close, np.nan)).bfill().fillna(0.0)


AHEAD = [
    lambda bars: np.roll(bars.close, -1),
    lambda bars: pd.Series(bars.close).shift(-1).fillna(0.0),
    lambda bars: pd.Series(bars.close).rolling(5, center=True, min_periods=1).max(),
    lambda bars: bars.close == bars.close.max(),
    mean_of_all,
    scaled_by_the_last,
    filled_backwards,
]
RUNNING = [
    lambda bars: pd.Series(bars.close).rolling(24).mean() / bars.close,
    lambda bars: pd.Series(returned(bars)).rolling(23).std(),
    lambda bars: np.append(np.zeros(23), np.cumsum(bars.volume)[23:] - np.append(0.0, np.cumsum(bars.volume)[:-24])) / 100.0,
]
UNBOUNDED = [
    lambda bars: pd.Series(bars.close).ewm(span=1000).mean() / bars.close - 1.0,
    lambda bars: bars.close / np.maximum.accumulate(bars.close) - 1.0,
    lambda bars: np.cumsum(bars.close > bars.open) % 7,
    lambda bars: np.arange(len(bars)) % 5,
]


@pytest.mark.parametrize("name", NAMES)
def test_honest_features_pass(own_file: Path, name: str) -> None:
    [own] = defined(f"my_own_features.py:{name}")
    assert checked(own, HOUR) is own


@pytest.mark.parametrize("timeframe", ["1m", "15m", "1h", "1d"])
@pytest.mark.parametrize("name", ["return_1_ago", "move_24", "over_average_3", "stochastic_14", "drawdown_168", "day_1_sin"])
def test_ours_would_pass_too(name: str, timeframe: str) -> None:
    ours = FEATURES[name]
    checked(OwnFeature(name, ours.warm_up, ours.compute), Timeframe.parse(timeframe))


@pytest.mark.parametrize("function", AHEAD)
def test_one_that_looks_ahead_is_named(function: Callable[[Bars], Any]) -> None:
    with pytest.raises(FeatureFailed, match=r"feature odd \(test_feature_checks\.py:\d+\) looks ahead"):
        checked(OwnFeature("odd", 24, function), HOUR)


@pytest.mark.parametrize("function", RUNNING)
def test_one_that_carries_rounding_is_given_ours_instead(function: Callable[[Bars], Any]) -> None:
    with pytest.raises(FeatureFailed, match=r"carries rounding .* use forwardtrader\.window_mean"):
        checked(OwnFeature("odd", 24, function), HOUR)


@pytest.mark.parametrize("function", UNBOUNDED)
def test_one_that_looks_back_over_everything_is_told_so(function: Callable[[Bars], Any]) -> None:
    with pytest.raises(FeatureFailed, match=r"depends on more than the 24 bars of its warm_up; it looks back over all bars"):
        checked(OwnFeature("odd", 24, function), HOUR)


@pytest.mark.parametrize(("says", "needs"), [(1, 2), (24, 25), (10, 30), (100, 101)])
def test_the_least_warm_up_that_will_do_is_named(says: int, needs: int) -> None:
    own = OwnFeature("odd", says, lambda bars: np.nan_to_num(bars.close / ft.lag(bars.close, needs - 1) - 1.0))
    with pytest.raises(FeatureFailed, match=rf"depends on more than the {says} bars of its warm_up; write warm_up={needs},"):
        checked(own, HOUR)
    checked(OwnFeature("odd", needs, own.function), HOUR)


@pytest.mark.parametrize(("base", "longer", "many"), [("1h", "4h", 4), ("15m", "4h", 16), ("1h", "1d", 24), ("4h", "1w", 42)])
def test_longer_bars_need_as_many_short_ones_as_the_worst_phase_takes(base: str, longer: str, many: int) -> None:
    def two(bars: Bars) -> Any:
        four = bars.resample(longer)
        return four.align(four.close / ft.lag(four.close, 1) - 1.0)

    needs = 2 * many + many - 1
    checked(OwnFeature("two", needs, two), Timeframe.parse(base))
    with pytest.raises(FeatureFailed, match=f"write warm_up={needs},"):
        checked(OwnFeature("two", needs - 1, two), Timeframe.parse(base))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda bars: returned(bars) * next(COUNTER), "is not the same twice on the same bars"),
        (lambda bars: np.random.default_rng().normal(size=len(bars)), "is not the same twice on the same bars"),
        (
            lambda bars: np.multiply(bars.volume, 2.0, out=bars.volume) * 0.0,
            "changes the bars it is given; work on a copy: bars.volume.copy()",
        ),
        (lambda bars: (bars.close - bars.low) / (bars.high - bars.low), "is nan where the market stands still"),
        (lambda bars: np.log(bars.volume), "is -inf where the market stands still"),
        (lambda bars: np.exp(bars.close * 1e3), "is inf on a usual bar"),
        (lambda bars: bars.resample("4w").align(bars.resample("4w").close), "has no value at the first"),
        (lambda bars: bars.close[3:], "must return one number for each bar"),
    ],
)
def test_anything_else_is_told_with_the_mend(function: Callable[[Bars], Any], words: str) -> None:
    with pytest.raises(FeatureFailed) as caught:
        checked(OwnFeature("odd", 24, function), HOUR)
    assert words in str(caught.value)


def test_one_that_fails_on_few_bars_only_is_told_with_its_line() -> None:
    def hungry(bars: Bars) -> Any:
        return bars.close / bars.close[40] if len(bars) > 40 else bars.close[99]

    with pytest.raises(FeatureFailed, match=r"failed: test_feature_checks\.py:\d+ in hungry: IndexError|looks ahead"):
        checked(OwnFeature("odd", 24, hungry), HOUR)


def test_no_warning_of_numpy_reaches_the_user() -> None:
    own = OwnFeature("odd", 1, lambda bars: np.nan_to_num(np.log(bars.volume), neginf=0.0) / 10.0)
    checked(own, HOUR)
