"""Bar by bar gives the bits of the whole history: features, usual move, and the network cut before its last step."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.models.features import incremental_rows
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, matrix, warm_up
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.sequences import unit
from forwardtrader.models.features.time_series.catalogue import TIME_SERIES
from forwardtrader.models.forecaster import NewBar
from tests.models.bars import simulated_bars

NAMES = tuple(FEATURES | TIME_SERIES)
CONTEXT = 5
NEEDED = warm_up(NAMES) + CONTEXT - 1


def new_bar(frame: pd.DataFrame, row: int) -> NewBar:
    bar = frame.iloc[row]
    at = [moment.to_pydatetime() for moment in frame.index[row - 1 : row + 1]]
    return NewBar(
        at=at[1], before=at[0], open=bar["open"], high=bar["high"], low=bar["low"], close=bar["close"], volume=bar["volume"],
        frame=lambda: frame.iloc[: row + 1],
    )  # fmt: skip


@functools.cache
def candles(seed: int, shape: str) -> pd.DataFrame:
    """Random candles, some of them missing, quiet, or without a range."""
    frame, draw = simulated_bars(NEEDED + 140, seed=seed), np.random.default_rng(seed)
    if shape == "still":
        frame.iloc[NEEDED - 20 :, :4] = float(frame["close"].iloc[NEEDED - 20])
    if shape == "dead":
        frame.iloc[draw.integers(0, len(frame), 200), 4] = 0.0
    if shape == "wild":
        frame.iloc[:, :4] *= np.exp(draw.standard_t(2, len(frame)) * 0.05)[:, None]
    return frame[draw.random(len(frame)) > 0.05] if shape == "gaps" else frame


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10), st.sampled_from(["plain", "gaps", "still", "dead", "wild"]), st.integers(0, 60), st.booleans())
def test_following_bar_by_bar_gives_the_bits_of_the_whole_history(seed: int, shape: str, first: int, ahead: bool) -> None:
    frame = candles(seed, shape)
    bars = Bars.of(frame)
    whole, usual = matrix(bars, NAMES), unit(bars, 24)
    rows, begin = FeatureRows(NAMES, CONTEXT, 24), NEEDED + min(first, len(frame) - NEEDED - 30)
    rows.fill(frame.iloc[begin - NEEDED : begin])
    for row in range(begin, begin + 30):
        if ahead:
            rows.prepare(frame.index[row - 1].to_pydatetime() + timedelta(hours=1))
        rows.follow(new_bar(frame, row))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
        assert rows.unit == usual[row]


@pytest.mark.parametrize("name", NAMES)
def test_a_single_feature_can_be_followed_from_as_many_bars_as_it_looks_back_over(name: str) -> None:
    frame = candles(3, "plain")
    begin = warm_up((name,))
    rows = FeatureRows((name,), 1, 1)
    rows.fill(frame.iloc[:begin])
    rows.follow(new_bar(frame, begin))
    assert rows.window[0, 0] == matrix(Bars.of(frame), (name,))[begin, 0]


def midpoint_rank(bars: Bars) -> Any:
    """Share of the last 20 closes below the newest one: a sort, which no graph of single rows records."""
    shares = pd.Series(bars.close).rolling(20).rank(pct=True)
    return shares.to_numpy(dtype=np.float64)


def branching(bars: Bars) -> Any:
    """Looks at the numbers themselves before it decides what to do."""
    rising = np.diff(bars.close, prepend=np.nan)
    return np.where(rising > 0, 1.0, -1.0) if (bars.close > 0).all() else rising


@pytest.mark.parametrize(("function", "looks_back"), [(midpoint_rank, 20), (branching, 2)])
def test_a_feature_that_cannot_be_recorded_is_computed_over_its_window_to_the_same_bits(
    function: Any, looks_back: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(incremental_rows, "_reported", set())
    monkeypatch.setitem(FEATURES, "odd_one", Feature("odd_one", looks_back, function))
    names, frame = ("odd_one", *NAMES), candles(2, "plain")
    whole = matrix(Bars.of(frame), names)
    with caplog.at_level("INFO"):
        rows, again = FeatureRows(names, CONTEXT, 24), FeatureRows(names, CONTEXT, 24)
    lines = [record for record in caplog.records if getattr(record, "facts", {}).get("feature") == "odd_one"]
    assert len(lines) == 1
    assert (0, FEATURES["odd_one"]) in rows.windowed and rows.windowed == again.windowed
    rows.fill(frame.iloc[:NEEDED])
    for row in range(NEEDED, NEEDED + 40):
        rows.follow(new_bar(frame, row))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])


def test_all_features_of_the_catalogue_are_recorded() -> None:
    assert FeatureRows(NAMES, 1, 1).windowed == ()


def test_every_feature_looks_back_no_farther_than_a_session_remembers() -> None:
    assert warm_up(NAMES) <= NEEDED
