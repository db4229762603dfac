"""Simultaneous intervals: over all columns at once they keep their error rate, and what is there is found."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.reports.statistics.selection.simultaneous import simultaneous_means


def test_of_many_columns_of_noise_hardly_any_is_found_in_any_of_many_samples() -> None:
    found = [
        any(one.low > 0.0 or one.high < 0.0 for one in simultaneous_means(np.random.default_rng(seed).normal(size=(300, 20)), block=8))
        for seed in range(25)
    ]
    assert sum(found) <= 4  # one or two expected of 25 at 5 %


def test_columns_that_hang_together_in_time_are_no_easier() -> None:
    found = 0
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=(400, 4))
        for row in range(1, len(noise)):
            noise[row] += 0.8 * noise[row - 1]
        found += any(one.low > 0.0 or one.high < 0.0 for one in simultaneous_means(noise, block=8))
    assert found <= 3


def test_one_that_is_there_is_found_among_many() -> None:
    columns = np.random.default_rng(0).normal(size=(500, 40))
    columns[:, 7] += 0.3
    found = simultaneous_means(columns, block=8)
    assert [k for k, one in enumerate(found) if one.is_positive] == [7]
    assert found[7].p < 0.01 < found[8].p


def test_a_column_of_zeros_is_nothing_for_sure() -> None:
    columns = np.random.default_rng(0).normal(size=(300, 3))
    columns[:, 1] = 0.0
    found = simultaneous_means(columns, block=5)
    assert (found[1].mean, found[1].low, found[1].high, found[1].p) == (0.0, 0.0, 0.0, 1.0)
    alone = simultaneous_means(columns[:, 1:2], block=5)
    assert alone == [found[1]]


@given(st.integers(0, 50), st.floats(0.01, 100.0))
@settings(max_examples=6, deadline=None)
def test_the_interval_holds_zero_where_p_is_not_below_the_error_rate(seed: int, scale: float) -> None:
    columns = scale * (np.random.default_rng(seed).normal(size=(200, 4)) + 0.15)
    for one in simultaneous_means(columns, block=4, seed=seed):
        assert (one.low > 0.0 or one.high < 0.0) == (one.p < 0.05) or 0.045 < one.p < 0.055
        assert one.low <= one.mean <= one.high
