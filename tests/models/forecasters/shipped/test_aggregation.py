"""Online aggregation: what it loses at most against the best forecaster, and that it finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forwardtrader.models.forecasters.shipped.aggregation import AggregateForecaster, bound, rounds, weights
from tests.models.forecasters.shipped.samples import learnable

LOSSES = st.tuples(st.integers(1, 40), st.integers(2, 5)).flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-1e3, 1e3)))


@settings(max_examples=300, deadline=None)
@given(LOSSES)
def test_whatever_the_losses_are_regret_stays_below_its_bound(losses: np.ndarray) -> None:
    used = weights(losses)[:-1]
    regret = float((used * losses).sum() - losses.sum(axis=0).min())
    assert regret <= bound(losses) + 1e-6


@given(LOSSES)
def test_weights_are_shares_and_know_nothing_of_their_own_round(losses: np.ndarray) -> None:
    used = weights(losses)
    assert used.shape == (len(losses) + 1, losses.shape[1])
    assert (used >= 0.0).all()
    assert used.sum(axis=1) == pytest.approx(1.0)
    other = losses.copy()
    other[-1] = other[-1][::-1]
    assert (weights(other)[:-1] == used[:-1]).all()


def test_against_losses_that_are_made_to_mislead_the_bound_holds_over_many_rounds() -> None:
    """Whoever leads loses the next round."""
    losses, lost = np.zeros((2000, 3)), np.zeros(3)
    for row in losses:
        row[int(np.argmin(lost))] = 1.0
        lost += row
    regret = float((weights(losses)[:-1] * losses).sum() - losses.sum(axis=0).min())
    assert 0.0 < regret <= bound(losses)


def test_the_one_that_works_speaks() -> None:
    draw = np.random.default_rng(1)
    losses = draw.random((500, 3)) + np.array([0.0, 0.2, 0.2])
    assert weights(losses)[-1, 0] > 0.95


def test_bars_of_several_symbols_are_one_round_and_unknown_outcomes_none() -> None:
    losses = np.array([[1.0, 3.0, 5.0, np.nan], [2.0, 4.0, 6.0, 1.0]])
    assert rounds(losses, np.array([7, 7, 2, 1])).tolist() == [[2.0, 3.0], [5.0, 6.0]]


def test_a_forecaster_that_knows_nothing_hardly_counts_and_a_saved_one_says_the_same(tmp_path: Path) -> None:
    panel = learnable(1000)
    made = AggregateForecaster(["ridge", "zero"]).fit(panel)
    assert made.weights_[0, 0] > 0.7
    made.save(tmp_path)
    again = AggregateForecaster(["ridge", "zero"]).load(tmp_path)
    assert np.array_equal(made.predict(panel), again.predict(panel))
