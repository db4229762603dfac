"""Candles of the hours at which a stock is traded."""

from __future__ import annotations

import pandas as pd

from tests.reports.simulated import candles


def stock_hours(days: int, seed: int) -> pd.DataFrame:
    """Hourly candles from 09:30 to 16:30 in New York, without weekends and the first Monday of each month."""
    opened = pd.bdate_range("2021-06-01", periods=days, tz="America/New_York")
    opened = opened[(opened.day_of_week != 0) | (opened.day > 7)]
    index = [day + pd.Timedelta(hours=9 + hour, minutes=30) for day in opened for hour in range(7)]
    return candles(len(index), seed=seed).set_axis(pd.DatetimeIndex(index, name="timestamp").tz_convert("UTC"))
