"""How much a choice moved about, and whether what did well before did well after."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forwardtrader.backtest.optimise.stability import rank_correlation, spread


def test_the_rank_correlation_looks_at_ranks_of_what_has_both_scores() -> None:
    before = np.array([1.0, 2.0, 3.0, np.nan, 4.0])
    assert rank_correlation(before, np.array([1.0, 8.0, 27.0, 0.0, 64.0])) == pytest.approx(1.0)
    assert rank_correlation(before, np.array([4.0, 3.0, 2.0, 9.0, np.nan])) == pytest.approx(-1.0)


def test_too_few_points_or_equal_ones_have_no_rank_correlation() -> None:
    assert math.isnan(rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert math.isnan(rank_correlation(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])))


def test_the_spread_of_numbers_and_of_names() -> None:
    found = spread([10, 20, 10, 50])
    assert (found.values, found.most, found.share, found.low, found.median, found.high) == (3, "10", 0.5, 10, 15, 50)
    names = spread(["a", "b", "b"])
    assert (names.values, names.most, names.low) == (2, "b", None)
