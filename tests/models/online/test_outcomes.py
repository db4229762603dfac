"""Forecasts meet what happened."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.models.forecaster import normal_frame
from forwardtrader.models.online.outcomes import by_model, caused, outcomes, pinball, trades_by_model
from tests.models.bars import simulated_bars

BARS = simulated_bars(600)
HORIZON = 4


def forecasts(bars: pd.DataFrame = BARS, *, first: int = 200, shift: float = 0.0) -> pd.DataFrame:
    scale = np.full(len(bars), 0.02)
    scale[:first] = np.nan
    frame = normal_frame(bars.index, np.where(np.isnan(scale), np.nan, shift), scale, "early")
    frame.loc[frame.index[400] :, "model_id"] = "late"
    return frame


def test_an_outcome_runs_from_the_next_open_to_the_close_of_the_last_bar() -> None:
    table = outcomes(forecasts(), BARS, HORIZON)
    row = 250
    entry, leaving = BARS["open"].iloc[row + 1], BARS["close"].iloc[row + HORIZON]
    assert table["realised"].loc[BARS.index[row]] == pytest.approx(np.log(leaving / entry))
    assert table["known_at"].loc[BARS.index[row]] == BARS.index[row + HORIZON]


def test_what_is_not_known_yet_is_not_scored() -> None:
    table = outcomes(forecasts(), BARS, HORIZON)
    assert table[["loss", "skill", "covered", "hit"]].iloc[-HORIZON:].isna().all(axis=None)
    assert table["known_at"].iloc[-HORIZON:].isna().all()
    assert table["loss"].iloc[:-HORIZON].notna().all()


@settings(max_examples=25, deadline=None)
@given(st.integers(210, 599))
def test_later_bars_change_no_outcome_that_was_known(cut: int) -> None:
    whole = outcomes(forecasts(shift=0.001), BARS, HORIZON)
    early = outcomes(forecasts(shift=0.001).iloc[:cut], BARS.iloc[:cut], HORIZON)
    known = early.loc[early["loss"].notna()]
    pd.testing.assert_frame_equal(known, whole.loc[known.index])
    assert (
        whole["known_at"].loc[early.index[early["loss"].isna()]].isna()
        | (whole["known_at"].loc[early.index[early["loss"].isna()]] > BARS.index[cut - 1])
    ).all()


@given(st.floats(-0.2, 0.2), st.lists(st.floats(-0.3, 0.3), min_size=5, max_size=5))
def test_no_quantiles_beat_those_at_the_outcome(outcome: float, bands: list[float]) -> None:
    told = np.sort(np.array([bands]))
    assert pinball(np.full((1, 5), outcome), np.array([outcome]))[0] == 0.0
    assert pinball(told, np.array([outcome]))[0] >= 0.0


def test_a_location_that_helps_has_skill_and_one_that_harms_has_less() -> None:
    happened = outcomes(forecasts(), BARS, HORIZON)["realised"]
    good = forecasts()
    for name in ("location", "q05", "q25", "q50", "q75", "q95"):
        good.loc[happened.index, name] += 0.5 * happened.fillna(0.0)
    bad = forecasts(shift=0.03)
    assert by_model(outcomes(good, BARS, HORIZON))["skill"].min() > 0.1
    assert by_model(outcomes(bad, BARS, HORIZON))["skill"].max() < 0.0
    assert by_model(outcomes(good, BARS, HORIZON))["hit_rate"].min() == 1.0


def test_each_model_answers_for_its_own_bars() -> None:
    table = by_model(outcomes(forecasts(), BARS, HORIZON))
    assert table["model_id"].tolist() == ["early", "late"]
    assert table["n"].tolist() == [200, 200 - HORIZON]


def told() -> pd.DataFrame:
    at = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")
    who = {"symbol": ["A", "A", "B", "A"], "model_id": ["m1", "m1", "m2", "m3"]}
    return pd.DataFrame({"timestamp": at, **who, "location": [0.1, 0.2, 0.3, 0.4], "p_up": 0.6})


def test_a_fill_comes_from_the_forecast_before_its_bar() -> None:
    at = told()["timestamp"]
    fills = pd.DataFrame({"timestamp": [at[1], at[3], at[0], at[3]], "symbol": ["A", "A", "A", "B"], "size": [1.0, 2.0, 3.0, 4.0]})
    joined = caused(fills, told())
    assert joined["size"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert joined["location"].fillna(0).tolist() == [0.1, 0.2, 0.0, 0.3]
    assert joined["model_id"].fillna("").tolist() == ["m1", "m1", "", "m2"]


def test_a_trade_belongs_to_the_model_that_opened_it() -> None:
    at = told()["timestamp"]
    later = at[3] + pd.Timedelta("1h")
    trades = pd.DataFrame(
        {"symbol": ["A", "A", "A"], "opened": [at[1], at[2], later], "profit": [5.0, -2.0, 1.0], "gain": [0.05, -0.02, 0.01]}
    )
    table = trades_by_model(trades, told()).set_index("model_id")
    assert table.loc["m1"].tolist() == [2, 0.5, 3.0, pytest.approx(0.015)]
    assert table.loc["m3", "profit"] == 1.0
    assert trades_by_model(trades.iloc[:0], told()).empty
