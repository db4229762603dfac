"""The two shipped forecast sources: batch and latest agree, and records refuse bars they do not know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, TooLittleHistory
from forwardtrader.models.forecaster import FORECAST_COLUMNS, LastValueForecaster, RecordedForecasts, normal_frame


def candles(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, rows)))
    index = pd.date_range("2022-01-01", periods=rows, freq="h", tz="UTC", name="timestamp")
    return pd.DataFrame({"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 1.0}, index=index)


def recorded(bars: pd.DataFrame, seed: int = 2) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return normal_frame(bars.index, draw.normal(0, 0.002, len(bars)), draw.uniform(0.01, 0.02, len(bars)), "m1")


def test_last_value_gives_the_same_numbers_in_batch_and_at_the_newest_bar() -> None:
    bars, source = candles(), LastValueForecaster(horizon=24, window=48)
    batch = source.batch(bars)
    for row in (48, 49, 133, 399):
        newest = source.latest(bars.iloc[: row + 1])
        assert newest is not None
        assert (newest.location, newest.scale, newest.p_up) == (0.0, batch["scale"].iloc[row], 0.5)
        assert newest.quantiles == tuple(batch.iloc[row][["q05", "q25", "q50", "q75", "q95"]])
        assert newest.at == bars.index[row]


def test_last_value_is_silent_during_its_warm_up() -> None:
    batch = LastValueForecaster(window=48).batch(candles())
    assert batch["scale"].isna().sum() == 48
    assert set(batch["model_id"]) == {"", "last_value"}
    assert list(batch.columns) == list(FORECAST_COLUMNS)


def test_last_value_never_sees_the_future() -> None:
    bars, source = candles(), LastValueForecaster(window=48)
    bumped = bars.copy()
    bumped.iloc[-1] *= 1.5
    before, after = source.batch(bars), source.batch(bumped)
    pd.testing.assert_frame_equal(before.iloc[:-1], after.iloc[:-1], check_exact=True)
    assert before["scale"].iloc[-1] != after["scale"].iloc[-1]


def test_too_few_bars_for_the_newest_forecast_are_refused() -> None:
    with pytest.raises(TooLittleHistory, match="at least 49"):
        LastValueForecaster(window=48).latest(candles(48))


def test_records_are_looked_up_by_time_not_by_place() -> None:
    bars = candles()
    frame = recorded(bars)
    source = RecordedForecasts(frame, horizon=24)
    part = bars.iloc[100:200]
    pd.testing.assert_frame_equal(source.batch(part), frame.iloc[100:200], check_freq=False)
    newest = source.latest(part)
    assert newest is not None
    assert newest.location == frame["location"].iloc[199]


def test_a_bar_that_was_not_recorded_is_refused() -> None:
    bars = candles()
    source = RecordedForecasts(recorded(bars.iloc[:-1]), horizon=1)
    with pytest.raises(FingerprintMismatch, match="forecast these bars anew"):
        source.batch(bars)


def test_a_bar_that_closed_elsewhere_is_refused() -> None:
    bars = candles()
    source = RecordedForecasts(recorded(bars).assign(close=bars["close"]), horizon=1)
    source.batch(bars)
    revised = bars.copy()
    revised.iloc[7, revised.columns.get_loc("close")] += 0.01
    with pytest.raises(FingerprintMismatch, match="2022-01-01 07:00"):
        source.batch(revised)


def test_one_horizon_is_chosen_out_of_several() -> None:
    bars = candles()
    near, far = recorded(bars, 2).assign(horizon=1), recorded(bars, 3).assign(horizon=24)
    both = pd.concat([near, far]).rename_axis("timestamp").reset_index()
    assert RecordedForecasts(both, horizon=24).batch(bars)["location"].to_list() == far["location"].to_list()
    with pytest.raises(InvalidSetting, match="1, 24"):
        RecordedForecasts(both, horizon=2)
    with pytest.raises(InvalidSetting):
        RecordedForecasts(both)


def test_a_bar_without_a_model_has_no_forecast() -> None:
    bars = candles(50)
    frame = recorded(bars)
    frame.iloc[-1, :8] = np.nan
    frame.iloc[-1, 8] = ""
    assert RecordedForecasts(frame, horizon=1).latest(bars) is None
