"""Longer bars: closed ones only, seen by the bars that close no earlier, and the same from any buffer that holds them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.models.features.bars import Bars
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")


def test_longer_bars_are_those_that_pandas_makes() -> None:
    frame = simulated_bars(24 * 30)
    longer = Bars.of(frame, HOUR).resample("4h")
    expected = frame.resample("4h").agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    for name in OHLCV:
        np.testing.assert_allclose(getattr(longer, name), expected[name], rtol=1e-12)
    np.testing.assert_array_equal(longer.times, expected.index.as_unit("ns").asi8)


def test_a_bar_sees_the_longer_bar_that_closed_with_it_and_no_later_one() -> None:
    frame = simulated_bars(12)
    longer = Bars.of(frame, HOUR).resample("4h")
    close = frame["close"].to_numpy()
    seen = longer.align(longer.close)
    assert np.isnan(seen[:3]).all()
    np.testing.assert_array_equal(seen[3:], [close[3]] * 4 + [close[7]] * 4 + [close[11]])


def test_a_first_period_that_began_before_the_bars_at_hand_is_left_out_and_so_is_one_that_is_open() -> None:
    longer = Bars.of(simulated_bars(48).iloc[2:-1], HOUR).resample("4h")
    assert pd.DatetimeIndex(longer.times)[[0, -1]].hour.tolist() == [4, 16] and len(longer) == 10


def test_a_period_that_lacks_its_last_bars_is_seen_at_the_first_bar_after_it() -> None:
    frame = simulated_bars(12).drop(index=simulated_bars(12).index[[2, 3, 4]])
    longer = Bars.of(frame, HOUR).resample("4h")
    seen = longer.align(longer.close)
    assert np.isnan(seen[:2]).all() and seen[2] == frame["close"].iloc[1]


def test_weeks_begin_on_monday() -> None:
    weeks = Bars.of(simulated_bars(24 * 40), HOUR).resample("1w")
    assert set(pd.DatetimeIndex(weeks.times).day_of_week) == {0}


def test_longer_bars_can_be_joined_again() -> None:
    bars = Bars.of(simulated_bars(24 * 20), HOUR)
    four = bars.resample("4h")
    day = four.resample("1d")
    np.testing.assert_array_equal(day.close, bars.resample("1d").close)
    np.testing.assert_array_equal(four.align(day.align(day.close)), bars.resample("1d").align(bars.resample("1d").close))


@pytest.mark.parametrize("length", ["1h", "30m", "90m"])
def test_only_multiples_can_be_made(length: str) -> None:
    with pytest.raises(InvalidSetting, match="choose a multiple"):
        Bars.of(simulated_bars(10), HOUR).resample(length)


def test_bars_of_a_length_that_nobody_said_are_not_joined() -> None:
    with pytest.raises(InvalidSetting, match="whose length is not known"):
        Bars.of(simulated_bars(10)).resample("4h")


def test_a_series_of_another_length_is_not_brought_back() -> None:
    longer = Bars.of(simulated_bars(24), HOUR).resample("4h")
    with pytest.raises(InvalidSetting, match="one number for each of the 6 longer bars"):
        longer.align(np.zeros(24))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.sampled_from(["2h", "4h", "1d", "1w"]), st.integers(0, 400), st.floats(0.0, 0.6), st.data())
def test_any_buffer_gives_the_bits_of_the_whole_history_where_it_holds_the_longer_bars(
    seed: int, length: str, first: int, missing: float, data: st.DataObject
) -> None:
    frame = simulated_bars(700, seed=seed, start="2020-01-02 03:00")
    frame = frame[np.random.default_rng(seed).random(700) >= missing]
    first = min(first, len(frame) - 2)
    last = data.draw(st.integers(first + 1, len(frame)))
    whole, part = Bars.of(frame, HOUR), Bars.of(frame.iloc[first:last], HOUR)
    longer, few = whole.resample(length), part.resample(length)
    there = np.isin(longer.times, few.times)
    for name in ("times", *OHLCV):
        np.testing.assert_array_equal(getattr(few, name), getattr(longer, name)[there])
    assert there.sum() == len(few) and np.flatnonzero(np.diff(np.flatnonzero(there)) != 1).size == 0
    seen, true = few.align(few.close), longer.align(longer.close)[first:last]
    known = np.isfinite(seen)
    np.testing.assert_array_equal(seen[known], true[known])
    assert (not known[: np.argmax(known)].any() and known[np.argmax(known) :].all()) or not known.any()
