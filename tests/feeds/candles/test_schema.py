"""The candle schema: what passes, what is refused and where, and which bars are missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Gap, Origin
from tests.feeds.made_candles import DAY, HOUR, START, made

HERE = Origin("btc.csv")


def check(frame: pd.DataFrame, timeframe: Timeframe = HOUR, **given: object) -> pd.DataFrame:
    return candles.validate(frame, timeframe, origin=HERE, **given)  # type: ignore[arg-type]


def with_value(column: str, value: object, row: int = 7) -> pd.DataFrame:
    frame = made(30).astype(object)
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return frame


def test_valid_candles_pass_unchanged() -> None:
    frame = made(50)
    pd.testing.assert_frame_equal(check(frame), frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (with_value("close", "n/a"), "close is 'n/a', not a number"),
        (with_value("open", None), "open is missing"),
        (with_value("volume", ""), "volume is missing"),
        (with_value("high", float("inf")), "high is 'inf'"),
        (with_value("low", 0.0), "low is 0, prices are above zero"),
        (with_value("close", -3.0), "close is -3"),
        (with_value("volume", -1.0), "volume is -1"),
        (with_value("high", 1.0), "high 1 is below low"),
        (with_value("close", 500.0), "is below open"),
        (with_value("open", 50.0), "is above open 50"),
    ],
)
def test_an_impossible_value_is_refused_with_its_row_and_a_remedy(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(CandleFileInvalid, match=r"btc.csv, row 8 \(2024-01-01 07:00\): .*correct the value or remove the row") as refused:
        check(frame)
    assert message in str(refused.value)


def test_a_low_above_the_close_is_refused() -> None:
    frame = made(30)
    frame.iloc[3, frame.columns.get_loc("low")] = frame["close"].iloc[3] + 0.001
    frame.iloc[3, frame.columns.get_loc("high")] = 500.0
    with pytest.raises(CandleFileInvalid, match=r"row 4 .*low .* is above open"):
        check(frame)


def test_a_time_that_stands_twice_is_refused() -> None:
    frame = made(10)
    with pytest.raises(CandleFileInvalid, match=r"row 5 \(2024-01-01 03:00\): the same time stands twice"):
        check(frame.iloc[[0, 1, 2, 3, 3, 4, 5]])


def test_unsorted_rows_are_refused() -> None:
    with pytest.raises(CandleFileInvalid, match=r"row 3 .*earlier than the row before it.*sort"):
        check(made(10).iloc[[0, 2, 1, 3, 4]])


def test_a_time_off_the_grid_is_refused() -> None:
    frame = made(10)
    frame.index = frame.index[:4].append(frame.index[4:] + pd.Timedelta(minutes=5)).rename("timestamp")
    with pytest.raises(CandleFileInvalid, match=r"row 5 \(2024-01-01 04:05\): the bar does not open on the 1h grid"):
        check(frame)


def test_candles_of_another_timeframe_are_refused_with_the_right_one() -> None:
    with pytest.raises(CandleFileInvalid, match="rows are 15m apart, not 1h; name the right one with --timeframe"):
        check(made(100, timeframe=Timeframe.parse("15m")))


def test_prices_that_never_move_are_refused() -> None:
    frame = made(24)
    frame[["open", "high", "low", "close"]] = 42.0
    with pytest.raises(CandleFileInvalid, match="all 24 bars have the price 42"):
        check(frame)
    assert len(check(frame, whole=False)) == 24  # a page of a quiet market may stand still


def test_a_missing_column_and_a_frame_without_rows_are_refused() -> None:
    with pytest.raises(CandleFileInvalid, match="column 'volume' is missing"):
        check(made(5).drop(columns="volume"))
    with pytest.raises(CandleFileInvalid, match="no rows"):
        check(made(0))


def test_the_running_bar_is_dropped_and_the_closed_one_kept() -> None:
    frame = made(10)
    assert len(check(frame, now=START + timedelta(hours=9, minutes=59))) == 9
    assert len(check(frame, now=START + timedelta(hours=10))) == 10


def test_bars_of_the_future_are_refused() -> None:
    with pytest.raises(CandleFileInvalid, match=r"row 7 .*lies in the future"):
        check(made(10), now=START + timedelta(hours=5))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 198), max_size=80))
def test_gaps_are_exactly_the_bars_taken_out(removed: set[int]) -> None:
    frame = made(200)
    left = frame.drop(frame.index[sorted(removed)])
    gaps = candles.find_gaps(candles.times_of(left), HOUR)
    missing = {START + timedelta(hours=h) for h in removed}
    assert {g.first_missing + timedelta(hours=i) for g in gaps for i in range(g.bars)} == missing
    assert sum(g.bars for g in gaps) == len(missing)


def test_weekends_and_holidays_are_no_gaps_in_a_market_that_rests() -> None:
    days = pd.bdate_range("2024-01-01", periods=60, tz="UTC", unit="ns")
    holiday = days.delete([14])
    assert not candles.trades_round_the_clock(holiday)
    assert candles.find_gaps(holiday, DAY) == ()
    outage = days.delete(list(range(20, 26)))
    assert [gap.first_missing for gap in candles.find_gaps(outage, DAY)] == [days[19].to_pydatetime() + timedelta(days=1)]


def test_a_missing_weekend_is_a_gap_in_a_market_that_never_closes() -> None:
    frame = made(60, timeframe=DAY)
    saturday = next(i for i, day in enumerate(frame.index) if day.day_of_week == 5 and i > 7)
    left = candles.times_of(frame.drop(frame.index[[saturday, saturday + 1]]))
    assert candles.find_gaps(left, DAY) == (Gap(frame.index[saturday].to_pydatetime(), 2),)


def test_gaps_are_described_in_one_line() -> None:
    gaps = [Gap(START, 2), Gap(START + timedelta(days=2), 10)]
    assert candles.describe_gaps(gaps) == "2 gaps, 12 bars missing, longest from 2024-01-03 00:00 (10 bars); never filled"
    assert candles.describe_gaps([]) == ""


def test_rows_cut_from_a_frame_hold_on_to_nothing_else() -> None:
    whole = made(500)
    cut = candles.cut(whole, 100, 120)
    pd.testing.assert_frame_equal(cut, whole.iloc[100:120])
    assert cut.index.freq == whole.iloc[100:120].index.freq
    assert candles.cut(whole, 0, 500) is whole
    pairs = [(candles.times_of(cut).asi8, candles.times_of(whole).asi8), *((cut[name].to_numpy(), whole[name].to_numpy()) for name in cut)]
    assert not any(np.shares_memory(mine, all_of_it) for mine, all_of_it in pairs)


def test_the_grid_counts_weeks_from_monday() -> None:
    moment = datetime(2024, 5, 16, 13, 45, tzinfo=UTC)
    assert candles.grid_floor(moment, HOUR) == datetime(2024, 5, 16, 13, tzinfo=UTC)
    assert candles.grid_floor(moment, Timeframe.parse("1w")) == datetime(2024, 5, 13, tzinfo=UTC)


def test_frames_are_built_from_milliseconds() -> None:
    frame = made(5)
    times = frame.index.as_unit("ms").asi8
    built = candles.from_arrays(times, *(np.asarray(frame[name]) for name in frame.columns))
    pd.testing.assert_frame_equal(built, frame, check_freq=False)
