"""What is chosen at a boundary: the best of the past, by nothing that came later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.backtest.optimise.choice import Choice, choices, span_scores
from forwardtrader.backtest.optimise.plan import SCORES
from forwardtrader.core.errors import StrategyFailed

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WINDOW = timedelta(days=30)


def days(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, index=pd.date_range(BEGIN, periods=len(values), freq="D"))


def chosen(returns: pd.DataFrame, at: list[int], score: str = "sharpe") -> list[Choice]:
    names = {"strategy.name": [f"p{n}" for n in range(returns.shape[1])]}  # no neighbours of one another
    moments = [BEGIN + timedelta(days=day) for day in at]
    return choices(returns, names, moments, WINDOW, SCORES[score], 365, grid=True)


@given(seed=st.integers(0, 10_000), cut=st.integers(31, 119), score=st.sampled_from(list(SCORES)))
@settings(max_examples=30, deadline=None)
def test_a_choice_is_the_same_whatever_comes_after_it(seed: int, cut: int, score: str) -> None:
    draw = np.random.default_rng(seed)
    returns = days(draw.normal(0, 0.01, (120, 4)))
    later = returns.copy()
    later.iloc[cut:] = draw.choice([-1.5, 0.0, 0.3], (120 - cut, 4))
    one, other, alone = (chosen(frame, [cut], score)[0] for frame in (returns, later, returns.iloc[:cut]))
    assert one.number == other.number == alone.number
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.scores, alone.scores)


def test_only_the_window_counts() -> None:
    values = np.random.default_rng(1).normal(0, 0.01, (90, 2))
    values[:55, 0] += 0.05
    values[60:, 1] += 0.01
    assert [choice.number for choice in chosen(days(values), [50, 90])] == [0, 1]


def test_a_day_that_has_not_ended_by_the_boundary_is_not_looked_at() -> None:
    values = np.random.default_rng(1).normal(0, 0.01, (60, 2))
    values[39] = [-0.9, 0.9]
    names = {"a": ["x", "y"]}
    noon = BEGIN + timedelta(days=39, hours=12)
    (early,) = choices(days(values), names, [noon], WINDOW, SCORES["return"], 365, grid=True)
    (late,) = choices(days(values), names, [BEGIN + timedelta(days=40)], WINDOW, SCORES["return"], 365, grid=True)
    assert early.scores[1] < 0.5 < late.scores[1]


def test_doing_nothing_is_better_than_losing() -> None:
    values = np.random.default_rng(2).normal(-0.01, 0.01, (60, 3))
    values[:, 2] = 0.0
    assert chosen(days(values), [60])[0].number == 2


def test_an_account_that_was_ruined_is_out_from_then_on_and_not_before() -> None:
    values = np.random.default_rng(3).normal(0, 0.01, (90, 2))
    values[:, 1] += 0.02
    values[50, 1] = -1.2
    assert [choice.number for choice in chosen(days(values), [45, 90])] == [1, 0]
    values[51] = -1.0
    with pytest.raises(StrategyFailed, match="every point is ruined by 2024-03-31"):
        chosen(days(values), [90])


def test_a_peak_is_cut_down_to_its_neighbours() -> None:
    base = np.random.default_rng(4).normal(0, 0.01, (60, 1))
    lift = np.array([0.004, 0.005, 0.004, -0.02, 0.009, -0.02])
    (choice,) = choices(
        days(base + lift), {"strategy.fast": [1, 2, 3, 4, 5, 6]}, [BEGIN + timedelta(days=60)], WINDOW, SCORES["sharpe"], 365, grid=True
    )
    assert choice.number in (0, 1)
    assert choice.scores[4] == choice.scores.max()


def test_a_span_without_a_day_has_no_score() -> None:
    assert np.isnan(span_scores(days(np.ones((3, 2))), BEGIN + timedelta(days=9), BEGIN + timedelta(days=20), SCORES["sharpe"], 365)).all()
