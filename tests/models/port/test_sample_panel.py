"""The samples a forecaster gets: what they hold, and that nothing can be written to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.models.port.sample_panel import SamplePanel, sample_rows


def panel(rows: int = 40, look_back: int = 3, features: int = 4) -> SamplePanel:
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(rows, features)).astype(np.float32)
    targets = draw.normal(size=(rows, 2)).astype(np.float32)
    targets[-4:, 1] = np.nan
    return SamplePanel(
        features=numbers, targets=targets, rows=sample_rows(numbers, [(0, rows)], look_back), symbol_of=np.zeros(rows, np.int64),
        look_back=look_back, names=tuple("abcd"[:features]), horizons=(1, 4), symbols=("A/USD",), timeframe_s=3600,
    )  # fmt: skip


def test_a_window_ends_at_its_sample() -> None:
    own = panel()
    assert own.windows().shape == (38, 3, 4)
    assert np.array_equal(own.windows()[:, -1], own.X)
    assert np.array_equal(own.windows(2)[5], own.features[own.rows[5] - 1 : own.rows[5] + 1])
    assert np.array_equal(own.column("c"), own.X[:, 2])


def test_a_window_longer_than_the_forecaster_said_is_refused() -> None:
    with pytest.raises(ValueError, match="set `warm_up` to 4"):
        panel().windows(4)


def test_nothing_in_it_can_be_changed() -> None:
    own = panel()
    for array in (own.features, own.targets, own.X, own.y, own.Y, own.windows()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_one_horizon_alone_has_the_samples_whose_outcome_is_known() -> None:
    own = panel()
    assert len(own.at_horizon(0)) == len(own)
    later = own.at_horizon(1)
    assert (later.horizons, len(later)) == ((4,), len(own) - 4)
    assert np.isfinite(later.y).all()
    unknown = replace(own, targets=np.full_like(own.targets, np.nan))
    assert len(unknown.at_horizon(1)) == len(own)


@given(st.lists(st.integers(0, 59), max_size=8), st.integers(1, 6), st.integers(1, 59))
def test_every_sample_has_its_rows_without_a_gap_in_its_own_segment(holes: list[int], look_back: int, border: int) -> None:
    features = np.ones((60, 2), np.float32)
    features[holes] = np.nan
    found = set(sample_rows(features, [(0, border), (border, 60)], look_back).tolist())
    for row in range(60):
        first = row - look_back + 1
        inside = first >= (0 if row < border else border)
        assert (row in found) == (inside and bool(np.isfinite(features[max(first, 0) : row + 1]).all()))


def test_scaled_rows_have_the_mean_and_the_deviation_of_all_whole_rows() -> None:
    own = panel(rows=400, look_back=1)
    assert np.allclose(own.standardised.mean(axis=0), 0.0, atol=1e-5) and np.allclose(own.standardised.std(axis=0), 1.0, atol=0.05)
    holed = own.features.copy()
    holed[7] = np.nan
    scaling = replace(own, features=holed, rows=np.delete(own.rows, 7)).scaling
    assert np.array_equal(scaling[0], np.delete(own.features, 7, axis=0).astype(np.float64).mean(axis=0).astype(np.float32))


def test_a_part_keeps_its_samples_and_no_row_of_the_rest() -> None:
    own = panel()
    kept = np.arange(40) >= 10
    part = own.part(kept)
    assert len(part.features) == 30
    assert np.array_equal(part.X, own.X[own.rows >= 10])
