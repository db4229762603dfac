"""Gaps of markets that rest: those within sessions are listed, nights, weekends, holidays and early closes are not."""

from __future__ import annotations

import pandas as pd
import pytest

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import find_gaps

NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"


def sessions(first: str, last: str, zone: str, minutes: list[int]) -> pd.DatetimeIndex:
    days = pd.bdate_range(first, last)
    return pd.DatetimeIndex(
        [pd.Timestamp(day.date()).tz_localize(zone) + pd.Timedelta(minutes=m) for day in days for m in minutes]
    ).tz_convert("UTC")


HOURS = sessions("2021-01-04", "2023-12-29", NEW_YORK, [*range(570, 960, 60)])
LUNCH = sessions("2022-01-03", "2022-12-30", TOKYO, [*range(540, 690, 5), *range(750, 900, 5)])
QUARTERS = pd.date_range("2021-01-04", "2022-01-03", freq="15min", tz=NEW_YORK)
DAY, HOUR = QUARTERS.day_of_week, QUARTERS.hour
CURRENCY = QUARTERS[~((DAY == 5) | ((DAY == 4) & (HOUR >= 17)) | ((DAY == 6) & (HOUR < 17)))].tz_convert("UTC")
MARKETS = {"stock hours": (HOURS, "1h", 7), "with a lunch break": (LUNCH, "5m", 60), "currencies": (CURRENCY, "15m", 92)}


def gaps(index: pd.DatetimeIndex, timeframe: str) -> list[tuple[pd.Timestamp, int]]:
    return [(pd.Timestamp(gap.first_missing), gap.bars) for gap in find_gaps(index, Timeframe.parse(timeframe))]


@pytest.mark.parametrize("market", MARKETS)
def test_whole_sessions_have_no_gaps_and_neither_have_holidays_and_early_closes(market: str) -> None:
    whole, timeframe, _ = MARKETS[market]
    assert gaps(whole, timeframe) == []
    day = whole[len(whole) // 2].date()
    assert gaps(whole[whole.date != day], timeframe) == []
    end = whole[whole.date == day][-1]
    if market != "currencies":
        assert gaps(whole.drop(whole[(whole.date == day) & (whole > end - pd.Timedelta("2h"))]), timeframe) == []


@pytest.mark.parametrize("market", MARKETS)
def test_bars_that_are_missing_within_a_session_are_listed(market: str) -> None:
    whole, timeframe, per_day = MARKETS[market]
    for place in (per_day * 20 + 2, len(whole) // 2 // per_day * per_day + 3, len(whole) - 4 - per_day):
        assert gaps(whole.drop(whole[place : place + 2]), timeframe) == [(whole[place], 2)]


def test_a_session_that_opens_late_and_weeks_without_bars_are_gaps() -> None:
    assert gaps(HOURS.drop(HOURS[7 * 100 : 7 * 100 + 2]), "1h") == [(HOURS[7 * 100], 2)]
    first, last = 7 * 100, 7 * 110
    [(_, bars)] = gaps(HOURS.drop(HOURS[first:last]), "1h")
    assert bars == last - first
