"""Blocks are drawn as Politis and Romano say, and means over them agree with arch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.reports.statistics.bootstrap import autocovariances, block_length, draw_counts, interval, resampled_means


@given(n=st.integers(2, 300), block=st.floats(1.0, 80.0), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_resample_draws_as_many_rows_as_there_are(n: int, block: float, seed: int) -> None:
    for counts in draw_counts(n, block, 3, seed):
        assert counts.sum() == n
        assert counts.min() >= 0


def test_every_row_is_drawn_equally_often() -> None:
    mean = np.mean(list(draw_counts(50, 7.0, 4000, seed=1)), axis=0)
    assert np.abs(mean - 1.0).max() < 0.1


def test_longer_blocks_keep_neighbours_together() -> None:
    def share_of_equal_neighbours(block: float) -> float:
        return float(np.mean([np.mean((c[1:] > 0) == (c[:-1] > 0)) for c in draw_counts(400, block, 50, seed=2)]))

    assert share_of_equal_neighbours(30.0) > share_of_equal_neighbours(1.0) + 0.2


def test_resampled_means_equal_the_weighted_sums_in_double_precision() -> None:
    columns = np.random.default_rng(0).normal(5.0, [1e-4, 100.0, 3.0], size=(500, 3))
    counts = np.array(list(draw_counts(500, 9.0, 130, seed=3)))
    expected = counts.astype(float) @ columns / 500
    found = resampled_means(columns, block=9.0, samples=130, seed=3)
    assert np.abs((found - expected) / columns.std(axis=0)).max() < 1e-6


def test_the_spread_of_resampled_means_is_that_of_arch() -> None:
    from arch.bootstrap import StationaryBootstrap

    rng = np.random.default_rng(4)
    series = np.convolve(rng.normal(size=1010), np.ones(10) / 3.0, mode="valid")
    theirs = StationaryBootstrap(25, series, seed=5).apply(np.mean, 2000)
    ours = resampled_means(series[:, None], block=25.0, samples=2000, seed=6)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.08)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_block_length_is_about_that_of_arch(memory: float) -> None:
    from arch.bootstrap import optimal_block_length

    rng = np.random.default_rng(7)
    noise = rng.normal(size=1500)
    series = np.empty(1500)
    series[0] = noise[0]
    for t in range(1, 1500):
        series[t] = memory * series[t - 1] + noise[t]
    theirs = float(optimal_block_length(series)["stationary"].iloc[0])
    # arch starts its search one lag later than the paper does.
    assert block_length(series) == pytest.approx(max(theirs, 1.0), rel=0.2)


def test_autocovariances_are_the_plain_sums() -> None:
    x = np.random.default_rng(8).normal(size=40)
    x -= x.mean()
    expected = [float((x[lag:] * x[: 40 - lag]).sum() / 40) for lag in range(6)]
    assert autocovariances(x, 5) == pytest.approx(expected)


def test_an_interval_of_nothing_known_is_unknown() -> None:
    assert np.isnan(interval(np.array([np.nan, np.nan, 1.0]))).all()
