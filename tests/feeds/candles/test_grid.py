"""Bars keep to the grid of UTC, or to one that stands still where their market is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.grid import off_own_grid, off_utc_grid
from tests.feeds.files.shapes.shape import sessions

HOUR, DAY = Timeframe.parse("1h"), Timeframe.parse("1d")


@pytest.mark.parametrize(("minutes", "bars", "timeframe"), [(60, 7, "1h"), (240, 2, "4h"), (7, 50, "7m"), (1440, 1, "1d"), (390, 1, "1d")])
def test_a_session_over_the_change_of_clocks_is_on_its_own_grid(minutes: int, bars: int, timeframe: str) -> None:
    index = candles.times_of(sessions(days=20, minutes=minutes, bars=bars))
    assert len(off_utc_grid(index.asi8, Timeframe.parse(timeframe)))
    assert not len(off_own_grid(index.asi8, Timeframe.parse(timeframe)))
    assert candles.find_gaps(index, Timeframe.parse(timeframe)) == ()


def test_a_bar_off_the_others_is_found() -> None:
    index = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC", unit="ns")
    times = index.asi8.copy()
    times[7] += 17 * 60 * 10**9
    assert off_own_grid(times, HOUR).tolist() == [7]


def test_seconds_are_no_grid() -> None:
    index = pd.date_range("2024-01-01 00:00:30", periods=48, freq="h", tz="UTC", unit="ns")
    assert len(off_own_grid(index.asi8, HOUR)) == 48


def test_a_market_that_rests_is_known_by_its_nights_or_its_saturdays() -> None:
    currencies = pd.date_range("2024-01-01", periods=24 * 40, freq="h", tz="UTC")
    currencies = currencies[~((currencies.day_of_week == 5) | ((currencies.day_of_week == 6) & (currencies.hour < 22)))]
    assert not candles.trades_round_the_clock(currencies)
    assert not candles.trades_round_the_clock(candles.times_of(sessions(days=4)))
    assert candles.trades_round_the_clock(pd.date_range("2024-01-01", periods=90, freq="h", tz="UTC"))
    assert candles.find_gaps(currencies, HOUR) == ()
    hours = np.array([0, 1, 2, 5])
    assert candles.trades_round_the_clock(pd.DatetimeIndex(pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")))
