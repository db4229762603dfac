"""Shifting moves what forecasts say to other times, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.models.forecaster import normal_frame
from forwardtrader.reports.statistics.shifted_forecasts import FEWEST, NEAREST, ShiftedForecasts, circle_of, distances, shifted


def frame(bars: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = 0.01 * np.exp(np.cumsum(rng.normal(0, 0.02, bars)))
    index = pd.date_range("2022-01-01", periods=bars, freq="h", tz="UTC", name="timestamp")
    return normal_frame(index, rng.normal(0, 0.3, bars) * scale, scale, "m")


def test_the_scale_stays_and_the_opinion_moves_in_units_of_it() -> None:
    own = frame()
    moved = shifted(own, 700)
    pd.testing.assert_series_equal(moved["scale"], own["scale"])
    opinion = (own["location"] / own["scale"]).to_numpy()
    np.testing.assert_allclose((moved["location"] / moved["scale"]).to_numpy(), np.roll(opinion, 700), rtol=1e-12)
    np.testing.assert_allclose(moved["q95"] - moved["location"], own["q95"] - own["location"], rtol=1e-9)
    np.testing.assert_array_equal(moved["p_up"], np.roll(own["p_up"], 700))


def test_rows_without_a_forecast_stay_without_one() -> None:
    own = frame()
    own.iloc[:400, :8] = np.nan
    own.iloc[1500:1600, :8] = np.nan
    moved = shifted(own, 900)
    pd.testing.assert_series_equal(moved["location"].isna(), own["location"].isna())
    known = own["location"].notna()
    np.testing.assert_allclose(np.sort(moved["p_up"][known]), np.sort(own["p_up"][known]))


def test_no_shift_changes_no_bit() -> None:
    own = frame()
    pd.testing.assert_frame_equal(shifted(own, 0), own, check_exact=True)


@settings(max_examples=25, deadline=None)
@given(late=st.integers(0, 300), gap=st.integers(0, 60), distance=st.integers(1, 599))
def test_forecasts_of_several_symbols_that_were_made_together_stay_together(late: int, gap: int, distance: int) -> None:
    """One symbol was listed late and lacks bars in between; wherever both forecasts come from a bar that both had, it is the same bar."""
    whole = frame(600)
    part = whole.drop(whole.index[400 : 400 + gap]).iloc[late:]
    circle = circle_of([whole, part])
    first, second = (shifted(each, distance, circle)["p_up"] for each in (whole, part))
    source = pd.Series(whole.index, index=whole.index).shift(distance).fillna(pd.Series(np.roll(whole.index, distance), index=whole.index))
    together = part.index[np.isin(source[part.index], part.index)]
    pd.testing.assert_series_equal(first[together], second[together], check_freq=False)
    assert second.isin(part["p_up"]).all()


def test_symbols_with_the_same_bars_are_shifted_as_one_alone() -> None:
    own = frame()
    own.iloc[:400, :8] = np.nan
    pd.testing.assert_frame_equal(shifted(own, 700, circle_of([own, own])), shifted(own, 700), check_exact=True)


@settings(max_examples=100, deadline=None)
@given(bars=st.integers(0, 50_000), count=st.integers(1, 200), seed=st.integers(0, 5))
def test_distances_are_different_far_and_the_same_for_the_same_seed(bars: int, count: int, seed: int) -> None:
    drawn = distances(bars, count, seed)
    assert drawn == distances(bars, count, seed)
    assert len(set(drawn)) == len(drawn) <= count
    nearest = min(NEAREST, bars // 4)
    assert all(nearest <= distance <= bars - nearest for distance in drawn)
    assert bool(drawn) == (bars - 2 * nearest + 1 >= FEWEST)


@pytest.mark.parametrize(("own", "p"), [(5.0, 0.01), (0.5, 0.5), (-1.0, 1.0)])
def test_p_counts_the_true_run_among_the_shifted_ones(own: float, p: float) -> None:
    empty = pd.DataFrame()
    runs = ShiftedForecasts(
        own=own, sharpes=np.arange(99) / 99.0, total_returns=np.zeros(99), equity=empty, fills=empty, planned=99
    )  # fmt: skip
    assert runs.p == pytest.approx(p)
    assert runs.p > 0.0
