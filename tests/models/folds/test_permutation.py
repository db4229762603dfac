"""Permuted features: of another time of the training window, at every row a forecast sees, in what the others do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.permutation import Permutation, TrainingRows
from forwardtrader.models.walk_forward import Fold
from tests.models.bars import simulated_bars

NAMES = ("return_1_ago", "return_2_ago", "volume_now", "day_1_sin", "range_now")
PANEL = Panel.of({"A": simulated_bars(1400), "B": simulated_bars(1400, seed=1)}, (1,), NAMES)
FOLD = Fold(datetime(2020, 2, 1, tzinfo=UTC), 200, 900, 910, 1300)
CONTEXT = 8


@dataclass(frozen=True)
class Seen:
    """A model whose forecast is whatever it sees."""

    context: int = CONTEXT
    horizons: int = 1
    members: Sequence[object] = (0,)

    def raw(self, features: NDArray[np.float32], rows: NDArray[np.int64], symbol: str) -> NDArray[np.float32]:
        windows = features[rows[:, None] + np.arange(1 - self.context, 1)]
        return windows.reshape(len(rows), 1, 1, -1)

    def save(self, folder: object, templates: object) -> None:
        raise NotImplementedError


def permuted(panel: Panel = PANEL, columns: Sequence[int] = (2,), *, seed: int = 0, symbol: str = "B") -> NDArray[np.float32]:
    """What the model sees at each row in force: [rows, context, F]."""
    rows = TrainingRows.of(panel, symbol, FOLD)
    drawn = Permutation.drawn(panel, symbol, FOLD, rows, CONTEXT, (seed, 1))
    raw = drawn.raw(Seen(), panel, symbol, columns, np.ones(390, bool))
    return raw.reshape(390, CONTEXT, len(NAMES))


def intact(symbol: str = "B") -> NDArray[np.float32]:
    rows = PANEL.offset[symbol] + np.arange(910, 1300)
    return PANEL.features[rows[:, None] + np.arange(1 - CONTEXT, 1)]


@given(columns=st.sets(st.integers(0, 4), min_size=1), seed=st.integers(0, 99), symbol=st.sampled_from(["A", "B"]))
@settings(max_examples=40, deadline=None)
def test_only_the_columns_permuted_change_and_they_do_so_at_all_lags(columns: set[int], seed: int, symbol: str) -> None:
    seen, before = permuted(columns=sorted(columns), seed=seed, symbol=symbol), intact(symbol)
    others = sorted(set(range(5)) - columns)
    assert np.array_equal(seen[:, :, others], before[:, :, others])
    assert (seen[:, :, sorted(columns)] != before[:, :, sorted(columns)]).mean(axis=(0, 2)).min() > 0.9
    assert np.array_equal(seen[1:, :-1], seen[:-1, 1:])  # one series, whatever the row that looks back over it


@given(after=st.integers(910, 1299), columns=st.sets(st.integers(0, 4), min_size=1))
@settings(max_examples=30, deadline=None)
def test_no_forecast_is_given_anything_that_was_known_after_its_bar(after: int, columns: set[int]) -> None:
    later = PANEL.features.copy()
    later[PANEL.offset["B"] + after + 1 : PANEL.offset["B"] + 1400] *= -3.0
    other = permuted(replace(PANEL, features=later), sorted(columns))
    assert np.array_equal(other[: after - 909], permuted(columns=sorted(columns))[: after - 909])


def test_what_others_tell_of_a_column_stays_with_them() -> None:
    features = PANEL.features.copy()
    features[:, 4] = 2.0 * features[:, 0] - features[:, 3] + 0.01 * features[:, 4]
    seen = permuted(replace(PANEL, features=features), (4,))
    rows = PANEL.offset["B"] + np.arange(910, 1300)
    assert np.abs(seen[:, -1, 4] - features[rows, 4]).max() < 0.2 * features[rows, 4].std()


def test_all_columns_together_are_those_of_another_time_of_the_training_window() -> None:
    seen = permuted(columns=range(5))[:, -1]
    window = PANEL.features[PANEL.offset["B"] + 200 : PANEL.offset["B"] + 900]
    nearest = np.abs(seen[:, None] - window[None]).max(axis=2).argmin(axis=1)
    assert np.array_equal(window[nearest], seen)
    assert (np.diff(nearest) == 1).mean() > 0.9  # in whole stretches


def test_whole_days_do_not_leave_the_calendar_where_it_was() -> None:
    assert np.abs(permuted(columns=(3,))[:, -1, 3] - intact()[:, -1, 3]).mean() > 0.3


def test_the_same_seed_gives_the_same_permutation_whatever_else_is_permuted() -> None:
    alone, beside = permuted(columns=(3,)), permuted(columns=(3,))
    assert np.array_equal(alone, beside) and not np.array_equal(alone, permuted(columns=(3,), seed=1))
