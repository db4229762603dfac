"""The calendar of retraining: anchored, purged, and the same from wherever a run begins."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.walk_forward import ANCHOR, boundaries, fold_at, folds, lead_bars, open_share

HOUR = Timeframe.parse("1h")
INDEX = pd.date_range("2019-01-01", "2023-01-01", freq="1h", tz="UTC", inclusive="left")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


NEW_YEAR, JUNE = utc(2022, 1, 1), utc(2022, 6, 1)


def knobs(**changes: object) -> ModelSettings:
    return ModelSettings.model_validate(
        {"horizons": (1, 24), "train_window": "365d", "retrain_every": "28d", "deployment_lag": 2, **changes}
    )


def cut(first: datetime = NEW_YEAR, last: datetime = JUNE, index: pd.DatetimeIndex = INDEX, **changes: object):
    return folds(index, first, last, settings=knobs(**changes), timeframe=HOUR, warm_up=500)


def test_indices_of_a_fold_checked_by_hand() -> None:
    fold = cut(embargo=3)[0]
    boundary = 24 * (365 + 366 + 365)  # hours from 2019-01-01 to 2022-01-01
    assert fold.boundary == utc(2022, 1, 1)
    assert (fold.train_first, fold.train_last) == (boundary - 365 * 24, boundary - 24 - 3)
    assert (fold.effective_first, fold.effective_last) == (boundary + 2, boundary + 28 * 24 + 2)


def test_a_retrain_every_28_days_from_2022_to_august_2025_makes_48_folds() -> None:
    index = pd.date_range("2019-01-01", "2025-09-01", freq="1h", tz="UTC", inclusive="left")
    made = cut(utc(2022, 1, 1), utc(2025, 9, 1), index)
    assert len(made) == 48


def test_boundaries_do_not_move_with_the_first_day_of_a_run() -> None:
    every = timedelta(days=28)
    early = boundaries(utc(2021, 1, 1), utc(2022, 6, 1), every)
    late = boundaries(utc(2022, 3, 3), utc(2022, 6, 1), every)
    assert set(late) <= set(early)
    assert all((moment - ANCHOR) % every == timedelta(0) for moment in early)
    assert late[0] <= utc(2022, 3, 3)


def test_a_fold_is_the_same_from_wherever_the_run_begins() -> None:
    by_boundary = {fold.boundary: fold for fold in cut(utc(2021, 1, 1))}
    for fold in cut(utc(2022, 2, 2)):
        assert by_boundary[fold.boundary] == fold


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(400, 1000),
    days=st.integers(1, 200),
    window=st.integers(30, 300),
    every=st.integers(1, 60),
    horizon=st.integers(1, 100),
    embargo=st.integers(0, 50),
    lag=st.integers(1, 30),
    dropped=st.sets(st.integers(0, len(INDEX) - 1), max_size=200),
    expanding=st.booleans(),
)
def test_no_training_label_reaches_a_bar_that_its_model_forecasts(
    first: int, days: int, window: int, every: int, horizon: int, embargo: int, lag: int, dropped: set[int], expanding: bool
) -> None:
    index = INDEX.delete(sorted(dropped))
    begin = utc(2019, 1, 1) + timedelta(days=first)
    made = cut(
        begin, begin + timedelta(days=days), index,
        train_window=f"{window}d", retrain_every=f"{every}d", horizons=(horizon,), embargo=embargo, deployment_lag=lag, expanding=expanding,
    )  # fmt: skip
    for fold in made:
        last_label = fold.train_last - 1 + horizon
        assert last_label + embargo < fold.effective_first
        assert index[last_label] < pd.Timestamp(fold.boundary)
        assert fold.train_first >= 500
    for before, after in itertools.pairwise(made):
        assert before.effective_last == after.effective_first


def test_a_bar_is_forecast_by_exactly_one_model_from_the_lag_on() -> None:
    made = cut()
    first, last = INDEX.searchsorted(pd.Timestamp(utc(2022, 1, 1))), INDEX.searchsorted(pd.Timestamp(utc(2022, 6, 1)))
    spoken = [row for fold in made for row in range(fold.effective_first, fold.effective_last) if first <= row < last]
    assert spoken == list(range(first + 2, last))


def test_too_little_history_says_how_much_there_is_and_when_there_is_enough() -> None:
    with pytest.raises(TooLittleHistory, match=r"bars of history before 2019-06-01 .* start at --from (\d{4}-\d\d-\d\d)") as caught:
        cut(utc(2019, 6, 1))
    day = datetime.fromisoformat(str(caught.value).split("--from ")[1][:10]).replace(tzinfo=UTC)
    assert cut(day, day + timedelta(days=60))
    with pytest.raises(TooLittleHistory):
        cut(day - timedelta(days=120), day)


def test_a_window_that_no_day_of_the_candles_fills_is_met_with_one_that_does() -> None:
    short = INDEX[: 24 * 300]
    with pytest.raises(TooLittleHistory, match=r"no later --from has so many; set --train-window (\d+)d") as caught:
        folds(short, utc(2019, 9, 1), utc(2020, 1, 1), settings=knobs(), timeframe=HOUR, warm_up=500)
    window = timedelta(days=int(str(caught.value).split("--train-window ")[1].split("d")[0]))
    shorter = knobs(train_window=f"{window.days}d")
    assert folds(short, utc(2019, 9, 1), utc(2020, 1, 1), settings=shorter, timeframe=HOUR, warm_up=500)
    with pytest.raises(TooLittleHistory, match=r"after 500 that warm up the features, and the 300 candles at hand are too few for any"):
        folds(INDEX[:300], utc(2019, 1, 5), utc(2019, 1, 9), settings=knobs(), timeframe=HOUR, warm_up=500)


def test_a_market_that_rests_fills_its_window_with_the_hours_it_is_open() -> None:
    opens = pd.bdate_range("2017-01-02", "2021-12-31", tz="America/New_York") + pd.Timedelta(hours=9, minutes=30)
    session = pd.DatetimeIndex([at + pd.Timedelta(hours=n) for at in opens for n in range(7)]).tz_convert("UTC")
    assert open_share(session, HOUR) == pytest.approx(35 / 168)
    assert open_share(INDEX, HOUR) == 1.0
    assert folds(session, utc(2020, 1, 1), utc(2020, 6, 1), settings=knobs(), timeframe=HOUR, warm_up=500)
    with pytest.raises(TooLittleHistory, match="start at --from"):
        folds(session, utc(2018, 1, 1), utc(2020, 6, 1), settings=knobs(), timeframe=HOUR, warm_up=500)


def test_an_expanding_window_keeps_its_first_bar() -> None:
    assert {fold.train_first for fold in cut(expanding=True)} == {500}


def test_the_lead_bars_are_what_a_first_forecast_needs_besides_its_training_window() -> None:
    chosen = knobs(horizons=[1, 6], context=24, embargo=3, deployment_lag=2)
    assert lead_bars(chosen, 500) == 500 + 24 + 6 + 3 + 2
    boundary = NEW_YEAR
    fold = fold_at(INDEX, boundary, JUNE, chosen, HOUR, warm_up=0)
    assert fold.effective_first - fold.train_last == lead_bars(chosen, 500) - 500 - 24


@given(st.integers(-3, 6), st.integers(0, 6), st.integers(1, 3))
def test_a_model_takes_over_at_the_same_time_whatever_bars_are_missing_around_its_boundary(first: int, missing: int, lag: int) -> None:
    """A session decides when before it knows which bars will not come."""
    boundary = 24 * (365 + 366 + 365)
    index = INDEX.delete(range(boundary + first, boundary + first + missing))
    fold = fold_at(index, NEW_YEAR, JUNE, knobs(deployment_lag=lag), HOUR, 500)
    due = pd.Timestamp(NEW_YEAR) + lag * pd.Timedelta(hours=1)
    assert index[fold.effective_first] >= due > index[fold.effective_first - 1]
