"""A user's own feature bar by bar: the bits of the whole history, whatever the bars and their gaps."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import matrix, warm_up
from forwardtrader.models.features.incremental_factors import FactorRows
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.own_features import chosen_name, defined
from tests.models.bars import heard, simulated_bars
from tests.models.features.own import NAMES, SOURCE

HOUR, CONTEXT = Timeframe.parse("1h"), 5


@pytest.fixture(scope="module")
def names() -> Any:
    """The features of a user's module, as they are chosen."""
    module = types.ModuleType("own_features_of_a_module")
    sys.modules[module.__name__] = module
    exec(SOURCE, vars(module))
    yield tuple(chosen_name(own) for name in NAMES for own in defined(f"{module.__name__}:{name}"))
    del sys.modules[module.__name__]


def candles(seed: int, missing: float, still: bool) -> pd.DataFrame:
    frame, draw = simulated_bars(420, seed=seed, start="2020-01-01 03:00"), np.random.default_rng(seed)
    if still:
        frame.iloc[250:300, :4] = float(frame["close"].iloc[250])
        frame.iloc[250:300, 4] = 0.0
    return frame[draw.random(len(frame)) >= missing]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 20), st.floats(0.0, 0.3), st.booleans(), st.booleans(), st.integers(0, 3))
def test_an_own_feature_followed_bar_by_bar_has_the_bits_of_the_whole_history(
    names: tuple[str, ...], seed: int, missing: float, still: bool, ahead: bool, first: int
) -> None:
    frame = candles(seed, missing, still)
    beside = (names[0], "move_6", *names[1:])
    whole, needed = matrix(Bars.of(frame, HOUR), beside), warm_up(beside) + CONTEXT - 1
    rows, begin = FeatureRows(beside, CONTEXT, 1, HOUR), needed + first
    rows.fill(frame.iloc[begin - needed : begin])
    for row in range(begin, min(begin + 30, len(frame))):
        if ahead:
            rows.prepare(frame.index[row].to_pydatetime())
        rows.follow(heard(frame, row, needed))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
    assert rows.is_whole


def test_beside_factors_it_is_the_same(names: tuple[str, ...]) -> None:
    frame = simulated_bars(540)
    frame["factor_f"] = np.sin(np.arange(540.0))
    beside = (names[0], "factor_f:standing", "move_6", names[1])
    needed = warm_up(beside) + CONTEXT - 1
    whole = matrix(Bars.of(frame, HOUR), beside)
    rows = FactorRows(beside, CONTEXT, 1, lambda index: frame.loc[index, ["factor_f"]], needed, HOUR)
    plain = frame.drop(columns="factor_f")
    rows.fill(plain.iloc[:needed])
    for row in range(needed, 540):
        rows.follow(heard(plain, row, needed))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
