"""Windows agree with pandas and keep their bits wherever a series begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.models.features.rolling import (
    lag,
    window_max,
    window_mean,
    window_min,
    window_sum,
)

WINDOWS = {"sum": window_sum, "mean": window_mean, "max": window_max, "min": window_min}


def series(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


@given(st.sampled_from(sorted(WINDOWS)), st.integers(1, 60), st.integers(0, 10_000))
def test_a_window_agrees_with_pandas(name: str, n: int, seed: int) -> None:
    x = series(120, seed)
    expected = getattr(pd.Series(x).rolling(n), name)().to_numpy()
    np.testing.assert_allclose(WINDOWS[name](x, n), expected, rtol=1e-9, atol=1e-12)


@given(st.sampled_from(sorted(WINDOWS)), st.integers(1, 60), st.integers(0, 100))
def test_a_window_has_the_same_bits_wherever_the_series_begins(name: str, n: int, first: int) -> None:
    x = series(200) * 1e3
    whole, late = WINDOWS[name](x, n), WINDOWS[name](x[first:], n)
    np.testing.assert_array_equal(whole[first + n - 1 :], late[n - 1 :])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 24, 168, 336])
def test_nothing_is_known_before_the_window_is_full(n: int) -> None:
    out = window_sum(series(400), n)
    assert np.isnan(out[: n - 1]).all()
    assert np.isfinite(out[n - 1 :]).all()


def test_a_lag_longer_than_the_series_knows_nothing() -> None:
    assert np.isnan(lag(series(3), 5)).all()
