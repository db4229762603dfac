"""A broad hill is taken before a lonely peak."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.reports.statistics.plateau import choose, plateau_scores


def test_a_plateau_beats_a_peak() -> None:
    margins = [1, 2, 3, 4, 5, 6, 7]
    sharpes = [0.0, 3.0, 0.1, 0.9, 1.0, 1.1, 0.9]
    scores = plateau_scores({"margin": margins}, sharpes, grid=True)
    assert margins[choose(scores, sharpes)] == 6
    assert scores[1] == pytest.approx(0.1)


def test_a_pit_between_good_neighbours_is_not_chosen() -> None:
    sharpes = [1.0, -2.0, 1.2]
    scores = plateau_scores({"x": [1, 2, 3]}, sharpes, grid=True)
    assert scores[1] == -2.0


def test_on_a_grid_of_two_keys_all_eight_neighbours_count() -> None:
    x, y = (axis.ravel().tolist() for axis in np.meshgrid([1, 2, 3], [0.1, 0.2, 0.3]))
    sharpes = [0.0] * 9
    sharpes[4] = 5.0
    assert plateau_scores({"x": x, "y": y}, sharpes, grid=True).max() == 0.0


def test_values_without_an_order_are_no_neighbours() -> None:
    sharpes = [2.0, -1.0, 2.0, -1.0]
    columns = {"x": [1, 1, 2, 2], "short": [True, False, True, False]}
    assert plateau_scores(columns, sharpes, grid=True).tolist() == sharpes


def test_a_point_that_never_traded_scores_zero() -> None:
    scores = plateau_scores({"x": [1, 2]}, [math.nan, -1.0], grid=True)
    assert scores.tolist() == [-1.0, -1.0]
    assert plateau_scores({"x": [1]}, [math.nan], grid=True).tolist() == [0.0]


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(-3, 3)), min_size=1, max_size=20), st.booleans())
def test_no_point_scores_above_itself_and_the_choice_is_one_of_them(points: list[tuple[float, float, float]], grid: bool) -> None:
    sharpes = [p[2] for p in points]
    scores = plateau_scores({"a": [p[0] for p in points], "b": [p[1] for p in points]}, sharpes, grid=grid)
    assert (scores <= np.array(sharpes) + 1e-12).all()
    assert scores[choose(scores, sharpes)] == scores.max()


def test_in_a_search_far_points_do_not_prop_up_a_peak() -> None:
    x = [0.0, 0.1, 0.2, 0.8, 0.85, 0.9]
    sharpes = [1.0, 1.1, 1.0, -1.0, 4.0, -1.0]
    scores = plateau_scores({"x": x}, sharpes, grid=False)
    assert choose(scores, sharpes) == 1


def test_in_a_search_points_equally_near_count_alike_whatever_their_order() -> None:
    x, y = [0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 2, 0, 1, 2]
    sharpes = [1.0, 1.1, -0.9, 1.2, 2.0, -1.1, -0.8, -0.7, -0.6]
    scores = plateau_scores({"x": x, "y": y}, sharpes, grid=False)
    for order in ([8, 7, 6, 5, 4, 3, 2, 1, 0], [2, 5, 8, 1, 4, 7, 0, 3, 6]):
        turned = plateau_scores({"x": [x[n] for n in order], "y": [y[n] for n in order]}, [sharpes[n] for n in order], grid=False)
        assert turned.tolist() == [scores[n] for n in order]
