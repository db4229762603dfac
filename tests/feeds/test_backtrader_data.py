"""Backtrader sees the frame as it is, at the times it is stamped with, and quickly."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.backtrader_data import FrameData, as_backtrader_days, backtrader_timeframe, frame_data
from tests.feeds.made_candles import HOUR, made


class Recorder(bt.Strategy):
    """Writes down what each bar shows."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def next(self) -> None:
        self.seen.append((self.data.datetime.datetime(0), *(getattr(self.data, name)[0] for name in OHLCV)))


def run(feed: FrameData, **options: object) -> Recorder:
    cerebro = bt.Cerebro(stdstats=False, **options)
    cerebro.adddata(feed)
    cerebro.addstrategy(Recorder)
    return cerebro.run()[0]


def expected(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    times = frame.index.tz_localize(None).to_pydatetime()
    return [(time, *row) for time, row in zip(times, frame.to_numpy().tolist(), strict=True)]


@pytest.mark.parametrize("options", [{}, {"runonce": False}, {"preload": False, "runonce": False}, {"exactbars": 1}])
def test_every_way_of_running_shows_every_bar_at_its_open_time(options: dict[str, object]) -> None:
    frame = made(200)
    assert run(frame_data(frame, HOUR), **options).seen == expected(frame)


def test_a_feed_can_be_run_twice() -> None:
    frame, feed = made(50), frame_data(made(50), HOUR)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed)
    cerebro.addstrategy(Recorder)
    assert cerebro.run()[0].seen == cerebro.run()[0].seen == expected(frame)


@pytest.mark.parametrize("preload", [True, False])
def test_the_standard_range_parameters_work(preload: bool) -> None:
    frame = made(200)
    feed = frame_data(frame, HOUR, fromdate=datetime(2024, 1, 3), todate=datetime(2024, 1, 5, 12))  # noqa: DTZ001 - Backtrader's are naive UTC
    assert run(feed, preload=preload, runonce=preload).seen == expected(frame.loc["2024-01-03":"2024-01-05 12:00"])


def test_filters_still_see_each_bar() -> None:
    frame = made(100)

    def only_even_hours(data: FrameData) -> bool:
        if data.datetime.datetime(0).hour % 2:
            data.backwards()
            return True
        return False

    feed = frame_data(frame, HOUR)
    feed.addfilter(only_even_hours)
    assert run(feed).seen == expected(frame[frame.index.hour % 2 == 0])


def test_resampling_joins_the_bars() -> None:
    frame = made(240)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.resampledata(frame_data(frame, HOUR), timeframe=bt.TimeFrame.Days)
    cerebro.addstrategy(Recorder)
    closes = [row[4] for row in cerebro.run()[0].seen]
    assert closes == frame["close"].resample("1D").last().tolist()


@pytest.mark.parametrize(("text", "unit", "count"), [
    ("1m", bt.TimeFrame.Minutes, 1),
    ("1h", bt.TimeFrame.Minutes, 60),
    ("4h", bt.TimeFrame.Minutes, 240),
    ("1d", bt.TimeFrame.Days, 1),
    ("1w", bt.TimeFrame.Weeks, 1),
])  # fmt: skip
def test_the_bar_length_is_given_in_backtraders_terms(text: str, unit: int, count: int) -> None:
    assert backtrader_timeframe(Timeframe.parse(text)) == (unit, count)
    feed = frame_data(made(3, timeframe=Timeframe.parse(text)), Timeframe.parse(text), name="BTC/USDT")
    assert (feed.p.timeframe, feed.p.compression, feed.p.name) == (unit, count, "BTC/USDT")


def test_times_are_bit_for_bit_those_of_date2num() -> None:
    index = pd.date_range("2019-01-01", periods=20_000, freq="37min", tz="UTC", unit="ns")
    theirs = np.array([bt.date2num(moment.to_pydatetime()) for moment in index])
    np.testing.assert_array_equal(as_backtrader_days(index), theirs)
    assert bt.num2date(theirs[-1]) - index[-1].to_pydatetime().replace(tzinfo=None) < timedelta(milliseconds=1)


def test_loading_seven_years_of_hours_costs_next_to_nothing() -> None:
    frame = made(58_000)
    cerebro, feed = bt.Cerebro(), frame_data(frame, HOUR)
    feed.setenvironment(cerebro)
    feed._start()
    began = time.thread_time()
    feed.preload()
    assert time.thread_time() - began < 0.5
    assert feed.buflen() == 58_000
