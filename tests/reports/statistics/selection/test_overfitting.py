"""The winner of a sweep of worthless points is a loser about half the time; a real one stays."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.reports.statistics.selection.overfitting import backtest_overfitting, chosen_paths, training_rows


def test_sixteen_blocks_make_twelve_thousand_eight_hundred_and_seventy_splits() -> None:
    assert len(backtest_overfitting(np.random.default_rng(0).normal(size=(320, 3))).logits) == 12_870


def test_a_sweep_of_worthless_points_is_overfitted() -> None:
    rng = np.random.default_rng(1)
    values = [backtest_overfitting(rng.normal(0, 0.01, (800, 30))).pbo for _ in range(8)]
    assert 0.3 < np.mean(values) < 0.75


def test_a_sweep_with_one_real_point_is_not() -> None:
    returns = np.random.default_rng(2).normal(0, 0.01, (1000, 20))
    returns[:, 4] += 0.002
    found = backtest_overfitting(returns)
    assert found.pbo < 0.02
    assert found.loss < 0.02


def test_points_that_revert_are_overfitted_for_certain() -> None:
    """Whatever did well in one half does badly in the other."""
    half = np.tile([0.01, -0.01], (200, 1)) + np.random.default_rng(3).normal(0, 0.001, (200, 2))
    found = backtest_overfitting(np.vstack([half, half[:, ::-1]]), blocks=2)
    assert found.pbo == 1.0


def test_the_logits_are_those_of_a_plain_loop() -> None:
    returns = np.random.default_rng(4).normal(0, 0.01, (40, 5))
    blocks = np.split(returns, 4)
    expected = []
    for chosen in combinations(range(4), 2):
        inside = np.vstack([blocks[k] for k in chosen])
        outside = np.vstack([blocks[k] for k in range(4) if k not in chosen])
        winner = int(np.argmax(inside.mean(0) / inside.std(0)))
        score = outside.mean(0) / outside.std(0)
        rank = (score < score[winner]).sum() + 1
        expected.append(math.log(rank / 6 / (1 - rank / 6)))
    assert sorted(backtest_overfitting(returns, blocks=4).logits) == pytest.approx(sorted(expected))


def test_one_point_cannot_be_judged() -> None:
    assert math.isnan(backtest_overfitting(np.zeros((100, 1))).pbo)


def test_points_that_tie_in_sample_win_together_whatever_their_order() -> None:
    """Two points are the best in sample alike; one of them falls out of sample and the other does not."""
    rng = np.random.default_rng(5)
    early, late = rng.normal(0.001, 0.01, (160, 1)), rng.normal(0.0, 0.01, (160, 3))
    falls = np.vstack([early, late[:, :1] - 0.01])
    holds = np.vstack([early, late[:, :1] + 0.01])
    other = np.vstack([early - 0.01, late[:, 1:2]])
    for columns in ([falls, holds, other], [holds, other, falls], [other, falls, holds]):
        assert backtest_overfitting(np.hstack(columns), blocks=2).pbo == pytest.approx(0.25)


def test_rounding_does_not_rank_points_that_did_the_same() -> None:
    returns = np.random.default_rng(6).normal(0, 0.01, (320, 1))
    same = returns * (1.0 + np.array([[0.0, 1e-15, -1e-15, 2e-15]]))
    assert backtest_overfitting(same, blocks=4).logits == pytest.approx(np.zeros(6), abs=1e-12)


def test_a_winner_that_always_wins_is_overfitted_with_a_small_probability_and_not_with_none() -> None:
    returns = np.random.default_rng(7).normal(0, 0.001, (64, 2))
    returns[:, 0] += 0.1
    assert backtest_overfitting(returns, blocks=4).pbo == pytest.approx(1 / 7)


def test_a_point_that_is_better_always_is_chosen_on_every_path() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, (600, 8))
    returns[:, 3] += 0.01
    found = chosen_paths(returns)
    own = returns[:, 3].mean() / returns[:, 3].std()
    assert found.sharpes.shape == (126,)
    np.testing.assert_allclose(found.sharpes, own)


def test_the_best_of_worthless_points_earns_nothing_on_the_paths() -> None:
    medians = [np.median(chosen_paths(np.random.default_rng(seed).normal(0, 0.01, (600, 20)), test_folds=2).sharpes) for seed in range(30)]
    assert abs(np.mean(medians)) < 3.0 * np.std(medians) / np.sqrt(30)


def test_too_few_points_or_days_have_no_path() -> None:
    assert not len(chosen_paths(np.zeros((600, 1))).sharpes)
    assert not len(chosen_paths(np.zeros((199, 4))).sharpes)


@given(data=st.data(), purge=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_no_row_is_chosen_on_that_lies_beside_a_tested_one(data: st.DataObject, purge: int) -> None:
    fold = np.minimum(np.arange(230) // 22, 9)
    tested = tuple(sorted(data.draw(st.sets(st.integers(0, 9), min_size=1, max_size=9))))
    trained, test = np.flatnonzero(training_rows(fold, tested, purge)), np.flatnonzero(np.isin(fold, tested))
    distance = np.abs(trained[:, None] - test[None, :])
    assert not len(trained) or distance.min() > purge
    left_out = np.setdiff1d(np.arange(230), np.concatenate([trained, test]))
    assert all(np.abs(row - test).min() <= purge for row in left_out)


@pytest.mark.parametrize(("periods", "folds", "test_folds", "purge"), [(1003, 10, 5, 5), (400, 6, 2, 3), (215, 10, 5, 0)])
def test_the_cuts_are_those_of_skfolio(periods: int, folds: int, test_folds: int, purge: int) -> None:
    selection = pytest.importorskip("skfolio.model_selection", reason="skfolio is not installed; it is no dependency of this project")
    cut = selection.CombinatorialPurgedCV(n_folds=folds, n_test_folds=test_folds, purged_size=purge, embargo_size=0)
    fold = np.minimum(np.arange(periods) // (periods // folds), folds - 1)
    splits = zip(cut.split(np.zeros((periods, 1))), combinations(range(folds), test_folds), strict=True)
    for (trained, _), tested in splits:
        np.testing.assert_array_equal(np.flatnonzero(training_rows(fold, tested, purge)), trained)
