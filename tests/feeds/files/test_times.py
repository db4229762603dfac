"""Time stamps of candle files are parsed into UTC, or refused with their line."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.times import read_times

HOUR, DAY = Timeframe.parse("1h"), Timeframe.parse("1d")
FIRST = pd.Timestamp("2024-01-31 13:00", tz="UTC")
SECONDS = 1_706_706_000


def read(*values: Any, timeframe: Timeframe = HOUR) -> list[pd.Timestamp]:
    return list(read_times(pd.Series(list(values)), Origin("file.csv"), timeframe))


@pytest.mark.parametrize(
    "value",
    [
        SECONDS, SECONDS * 1_000, SECONDS * 1_000_000, SECONDS * 1_000_000_000, str(SECONDS), f"{SECONDS}.0", "2024-01-31T13:00:00Z",
        "2024-01-31 13:00:00", "2024-01-31 13:00:00 UTC", "2024-01-31T13:00:00+00:00", "2024-01-31T15:00:00+02:00",
        "2024-01-31 08:00:00-0500", "2024-01-31 01-PM",
    ],
    ids=str,
)  # fmt: skip
def test_every_notation_is_the_same_moment(value: Any) -> None:
    assert read(value) == [FIRST]


def test_each_number_has_its_own_unit() -> None:
    assert read(SECONDS, SECONDS * 1000 + 3_600_000) == [FIRST, FIRST + pd.Timedelta(hours=1)]


def test_daily_bars_at_local_midnight_keep_their_date() -> None:
    days = [pd.Timestamp("2024-03-30", tz="UTC"), pd.Timestamp("2024-03-31", tz="UTC")]
    assert read("2024-03-30 00:00:00+01:00", "2024-03-31 00:00:00+02:00", timeframe=DAY) == days
    assert read(*(day.tz_localize(None).tz_localize("Europe/Berlin") for day in days), timeframe=DAY) == days


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((SECONDS, float("nan")), "row 2: the time is nan"),
        ((SECONDS, -1), "row 2: the time is -1"),
        (("2024-01-31T13:00:00Z", "noon"), "row 2: 'noon' cannot be read"),
        (("31/01/2024", "2024-01-31"), "row 1: '31/01/2024' cannot be read"),
        (("2024-01-31T13:00:00+01:00", "2024-01-31T14:00:00+02:00"), "row 2: the time zone changes"),
        (("1066-10-14T09:00:00Z",), "row 1"),
    ],
    ids=str,
)
def test_a_time_that_cannot_be_read_is_refused_with_its_row(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CandleFileInvalid, match=message):
        read(*values)
