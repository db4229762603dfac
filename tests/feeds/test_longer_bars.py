"""Longer bars beside short ones are seen when they are closed: joined or a feed of their own, in every way that Backtrader runs."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.backtrader_data import backtrader_timeframe, frame_data
from forwardtrader.feeds.longer_bars import JoinedBars
from tests.feeds.made_candles import HOUR
from tests.feeds.made_candles import made as made_candles

MODES = [{}, {"runonce": False}, {"preload": False, "runonce": False}, {"exactbars": 1}]
RULE = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def made(bars: int, timeframe: Timeframe = HOUR) -> pd.DataFrame:
    """Candles of whole volumes, which add up to the same float in every order."""
    return made_candles(bars, timeframe=timeframe).round({"volume": 0})


class Watcher(bt.Strategy):
    """Writes down, at each moment, how many bars each feed has shown and what the newest looks like."""

    def __init__(self) -> None:
        self.seen: list[tuple[pd.Timestamp, list[tuple[int, tuple[float, ...]]]]] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        now = pd.Timestamp(bt.num2date(self.lines.datetime[0]), tz="UTC")
        shown = [(len(d), tuple(getattr(d, n)[0] for n in RULE) if len(d) else ()) for d in self.datas]
        self.seen.append((now, shown))


def watch(*feeds: bt.feed.DataBase, resampled: tuple[str, ...] = (), **options: object) -> Watcher:
    cerebro = bt.Cerebro(stdstats=False, **options)
    for feed in feeds:
        cerebro.adddata(feed)
    for text in resampled:
        unit, count = backtrader_timeframe(Timeframe.parse(text))
        cerebro.resampledata(feeds[0], timeframe=unit, compression=count)
    cerebro.addstrategy(Watcher)
    return cerebro.run()[0]


def joined(frame: pd.DataFrame, text: str) -> pd.DataFrame:
    """By pandas, an independent witness: bars by their open time; of the last period only what is whole."""
    length = Timeframe.parse(text).delta
    grid = frame.resample(length, label="left", closed="left", origin=pd.Timestamp("1970-01-05", tz="UTC")).agg(RULE)
    return grid.dropna()


@pytest.mark.parametrize("options", MODES)
def test_a_longer_bar_comes_with_the_short_bar_that_ends_it(options: dict[str, object]) -> None:
    frame = made(26)
    bars = joined(frame, "4h")
    for at, [(_, _), (count, newest)] in watch(frame_data(frame, HOUR), resampled=("4h",), **options).seen:
        closed = bars.loc[bars.index + pd.Timedelta("4h") <= at + pd.Timedelta("1h")]
        assert count == len(closed)
        assert newest == (tuple(closed.iloc[-1]) if count else ())


@pytest.mark.parametrize("options", MODES)
def test_a_frame_of_longer_bars_is_seen_no_earlier_than_joined_ones(options: dict[str, object]) -> None:
    frame = made(24 * 9)
    four = Timeframe.parse("4h")
    beside = watch(frame_data(frame, HOUR), frame_data(joined(frame, "4h"), four), **options).seen
    assert beside == watch(frame_data(frame, HOUR), resampled=("4h",), **options).seen
    other_order = watch(frame_data(joined(frame, "4h"), four), frame_data(frame, HOUR), **options).seen
    assert [(at, shown[::-1]) for at, shown in other_order] == beside


def test_two_lengths_and_a_week_join_the_same_bars() -> None:
    frame = made(24 * 30)
    seen = watch(frame_data(frame, HOUR), resampled=("2h", "1d", "1w")).seen
    for number, text in ((1, "2h"), (2, "1d"), (3, "1w")):
        bars = joined(frame, text)
        whole = bars.loc[(bars.index >= frame.index[0]) & (bars.index + Timeframe.parse(text).delta <= frame.index[-1] + HOUR.delta)]
        assert seen[-1][1][number] == (len(whole), tuple(whole.iloc[-1]))


def test_months_are_calendar_months() -> None:
    frame = made(100, timeframe=Timeframe.parse("1d"))
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed := frame_data(frame, Timeframe.parse("1d")))
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Months)
    cerebro.addstrategy(Watcher)
    months = frame.groupby(frame.index.tz_localize(None).to_period("M")).agg(RULE)
    for at, [_, (count, newest)] in cerebro.run()[0].seen:
        over = [row for month, row in months.iterrows() if month.end_time.tz_localize("UTC") < at + timedelta(days=1)]
        assert (count, newest) == (len(over), tuple(over[-1]) if over else ())


@pytest.mark.parametrize("options", MODES)
def test_a_first_period_that_began_before_the_bars_is_left_out(options: dict[str, object]) -> None:
    frame = made(30).iloc[2:]
    bars = joined(frame, "4h").iloc[1:]
    seen = watch(frame_data(frame, HOUR), resampled=("4h",), **options).seen
    assert next(shown[1] for _, shown in seen if shown[1][0]) == (1, tuple(bars.iloc[0]))


@settings(deadline=None, max_examples=40)
@given(kept=st.sets(st.integers(0, 59), min_size=3), mode=st.sampled_from(MODES[:3]))
def test_gaps_neither_lose_nor_hurry_a_longer_bar(kept: set[int], mode: dict[str, object]) -> None:
    frame = made(60).iloc[sorted(kept)]
    bars = joined(frame, "4h")
    if bars.index[0] < frame.index[0]:
        bars = bars.iloc[1:]
    shown = watch(frame_data(frame, HOUR), resampled=("4h",), **mode).seen
    for (_, [(short, _), (before, _)]), (at, [(then, _), (count, newest)]) in pairwise([(None, [(0, ()), (0, ())]), *shown]):
        assert then - short in (0, 1) and count - before in (0, 1)
        assert count == 0 or newest == tuple(bars.iloc[count - 1])
        assert count == 0 or bars.index[count - 1] + pd.Timedelta("4h") <= at + pd.Timedelta("1h")
    due = (bars.index + pd.Timedelta("4h") <= frame.index[-1] + pd.Timedelta("1h")).sum()
    assert shown[-1][1][1][0] == due


@pytest.mark.parametrize(("short", "long"), [("7m", "1h"), ("3h", "4h"), ("1h", "1d")])
def test_a_longer_bar_never_comes_before_its_close_on_any_grid(short: str, long: str) -> None:
    small, large = Timeframe.parse(short), Timeframe.parse(long)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    longer = made(20, timeframe=large)
    index = pd.date_range(start, longer.index[-1] + large.delta, freq=small.delta, name="timestamp", inclusive="left").as_unit("ns")
    frame = made(len(index), timeframe=small).set_axis(index)
    shown = watch(
        frame_data(frame, small),
        frame_data(longer.set_axis(pd.date_range(start, periods=20, freq=large.delta, name="timestamp").as_unit("ns")), large),
    ).seen
    for at, [_, (count, _)] in shown:
        due = [number for number in range(20) if start + (number + 1) * pd.Timedelta(large.delta) <= at + small.delta]
        assert count == len(due)
    assert all(short_count > before for (_, [(before, _), _]), (_, [(short_count, _), _]) in pairwise(shown))


def test_longer_bars_from_before_the_short_ones_warm_up_by_themselves() -> None:
    longer = joined(made(24 * 20), "1d")
    frame = made(24 * 20).loc["2024-01-11":]
    first = next(shown for _, shown in watch(frame_data(frame, HOUR), frame_data(longer, Timeframe.parse("1d"))).seen if shown[0][0])
    assert first[1][0] == 10


def test_a_second_symbol_is_resampled_beside_the_first() -> None:
    one, other = made(48), made(48).iloc[5:]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(frame_data(one, HOUR), name="A")
    cerebro.adddata(second := frame_data(other, HOUR), name="B")
    cerebro.resampledata(second, name="B 4h", timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Watcher)
    bars = joined(other, "4h").iloc[1:]
    for at, [_, _, (count, newest)] in cerebro.run()[0].seen:
        closed = bars.loc[bars.index + pd.Timedelta("4h") <= at + pd.Timedelta("1h")]
        assert (count, newest) == (len(closed), tuple(closed.iloc[-1]) if len(closed) else ())


@pytest.mark.parametrize("text", ["90m", "30m"])
def test_a_length_that_is_no_multiple_is_refused(text: str) -> None:
    unit, count = backtrader_timeframe(Timeframe.parse(text))
    with pytest.raises(InvalidSetting, match=r"bars of 1h cannot be joined to bars of .*; choose a multiple of 1h"):
        bt.Cerebro().resampledata(frame_data(made(3), HOUR), timeframe=unit, compression=count)


def test_an_argument_that_moves_the_grid_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="boundoff"):
        bt.Cerebro().resampledata(frame_data(made(3), HOUR), timeframe=bt.TimeFrame.Days, boundoff=1)


def test_a_copy_of_a_copy_is_joined_too() -> None:
    frame = made(24 * 5)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed := frame_data(frame, HOUR))
    four = cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=240)
    day = cerebro.resampledata(four, timeframe=bt.TimeFrame.Days)
    cerebro.addstrategy(Watcher)
    assert isinstance(day, JoinedBars)
    assert day.traded is feed
    assert cerebro.run()[0].seen[-1][1][2] == (4, tuple(joined(frame, "1d").iloc[-1]))


def test_bars_that_are_still_being_made_are_not_replayed() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    feed = frame_data(made(8), HOUR)
    cerebro.adddata(feed)
    with pytest.raises(InvalidSetting, match=r"replaydata shows bars that are not closed yet.*resampledata"):
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Minutes, compression=240)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_the_ticks_of_a_bar_are_its_own_numbers_and_there_are_none_before_the_first(mode: dict[str, object]) -> None:
    seen: list[list[float]] = []

    class Reader(bt.Strategy):  # type: ignore[misc]  # Backtrader has no types
        def next(self) -> None:
            data = self.data
            names = ("open", "high", "low", "close", "volume", "openinterest")
            assert [getattr(data, f"tick_{name}") for name in names] == [getattr(data.lines, name)[0] for name in names]
            assert data.tick_last == data.close[0]
            seen.append([data.tick_open, data.tick_high, data.tick_low, data.tick_close, data.tick_volume])

    frame = made(30)
    cerebro = bt.Cerebro(stdstats=False, **mode)
    feed = frame_data(frame, HOUR)
    cerebro.adddata(feed)
    cerebro.addstrategy(Reader)
    assert feed.tick_open is None and feed.tick_last is None
    cerebro.run()
    assert seen == frame.to_numpy().tolist()
