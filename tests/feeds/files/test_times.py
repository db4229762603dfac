"""Time stamps of candle files are parsed into UTC, or refused with their line."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.times import notation_of, read_times

HOUR, DAY = Timeframe.parse("1h"), Timeframe.parse("1d")
FIRST = pd.Timestamp("2024-01-31 13:00", tz="UTC")
SECONDS = 1_706_706_000


def read(*values: Any, timeframe: Timeframe = HOUR, date_format: str = "", zone: str = "", clocks: Any = None) -> list[pd.Timestamp]:
    columns = [pa.array(list(values))] + ([] if clocks is None else [pa.array(clocks)])
    return list(read_times(columns, Origin("file.csv"), timeframe, notation_of(date_format, zone))[0])


@pytest.mark.parametrize(
    "value",
    [
        SECONDS, SECONDS * 1_000, SECONDS * 1_000_000, SECONDS * 1_000_000_000, str(SECONDS), f"{SECONDS}.0", "2024-01-31T13:00:00Z",
        "2024-01-31 13:00:00", "2024-01-31 13:00:00 UTC", "2024-01-31T13:00:00+00:00", "2024-01-31T15:00:00+02:00",
        "2024-01-31 08:00:00-0500", "2024-01-31 01-PM", "31.01.2024 13:00", "1/31/2024 1:00 PM", "31-Jan-2024 13:00:00",
        "Jan 31, 2024 13:00", "31. Januar 2024 13:00", "20240131 130000", "20240131T130000Z", "2024.01.31 13:00",
        "31.01.2024 14:00:00.000 GMT+0100", "Wed, 31 Jan 2024 13:00:00 GMT", "Wed Jan 31 13:00:00 2024", "2024-1-31 13:00",
        "2024-01-31T14:00:00+01:00[Europe/Berlin]",
        "2024-01-31 08:00:00 EST", "31Jan2024 13:00", 20240131130000, 202401311300, "2024-01-31 13:00:00.000000", " 2024-01-31T13:00:00Z",
    ],
    ids=str,
)  # fmt: skip
def test_every_notation_is_the_same_moment(value: Any) -> None:
    assert read(value) == [FIRST]


def test_each_number_has_its_own_unit() -> None:
    assert read(SECONDS, SECONDS * 1000 + 3_600_000) == [FIRST, FIRST + pd.Timedelta(hours=1)]


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("start", ["1900-01-02", "1929-10-24", "1969-12-30", "1970-01-01", "1971-06-01", "2150-01-01"])
def test_unix_times_of_any_unit_are_told_by_how_far_rows_stand_apart(unit: int, start: str) -> None:
    days = pd.date_range(start, periods=5, freq="D", tz="UTC", unit="ns")
    assert read(*[int(day.timestamp()) * unit for day in days], timeframe=DAY) == list(days)


def test_days_of_a_spreadsheet_are_read_with_their_hours() -> None:
    assert read(45322.0, 45323.0, 45324.0, timeframe=DAY) == list(pd.date_range("2024-01-31", periods=3, tz="UTC"))
    hours = [45322 + (13 + n) / 24 for n in range(4)]
    assert read(*[f"{day:.9f}".replace(".", ",") for day in hours]) == list(pd.date_range(FIRST, periods=4, freq="h"))


def test_dates_beside_times_of_day_are_joined() -> None:
    hours = list(pd.date_range(FIRST, periods=3, freq="h"))
    for dates, clocks in (
        (["20240131"] * 3, ["130000", "140000", "150000"]), ([20240131] * 3, [1300, 1400, 1500]),
        (["2024.01.31"] * 3, ["13:00", "14:00", "15:00"]),
        (["01/31/2024"] * 3, ["1:00 PM", "2:00 PM", "3:00 PM"]), ([pd.Timestamp("2024-01-31")] * 3, ["13:00:00", "14:00:00", "15:00:00"]),
    ):  # fmt: skip
        assert read(*dates, clocks=clocks) == hours
    assert read(20240131, 20240131, clocks=[0, 10000])[1] - read(20240131, 20240131, clocks=[0, 10000])[0] == pd.Timedelta(hours=1)


def test_daily_bars_at_local_midnight_keep_their_date() -> None:
    days = [pd.Timestamp("2024-03-30", tz="UTC"), pd.Timestamp("2024-03-31", tz="UTC")]
    assert read("2024-03-30 00:00:00+01:00", "2024-03-31 00:00:00+02:00", timeframe=DAY) == days
    assert read(*(day.tz_localize(None).tz_localize("Europe/Berlin") for day in days), timeframe=DAY) == days


def test_trading_days_stamped_in_utc_with_midnight_at_the_exchange_have_its_dates() -> None:
    days = pd.bdate_range("2024-03-01", periods=20, unit="ns")
    for place in ("America/New_York", "Asia/Tokyo", "Europe/London"):
        stamps = [int(day.timestamp()) * 1000 for day in days.tz_localize(place)]
        assert read(*stamps, timeframe=DAY) == list(days.tz_localize("UTC"))


def test_offsets_may_change_over_summer_time() -> None:
    texts = ["2024-03-10 01:00:00-05:00", "2024-03-10 03:00:00-04:00", "2024-03-10 04:00:00-04:00"]
    assert read(*texts) == list(pd.date_range("2024-03-10 06:00", periods=3, freq="h", tz="UTC"))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Atlantic/Azores"])
@pytest.mark.parametrize(("length", "timeframe"), [("h", HOUR), ("15min", Timeframe.parse("15m")), ("4h", Timeframe.parse("4h"))])
@pytest.mark.parametrize("newest_first", [False, True])
def test_local_times_are_read_over_both_changes_of_the_clocks(zone: str, length: str, timeframe: Timeframe, newest_first: bool) -> None:
    hours = pd.date_range("2023-01-01", "2024-01-01", freq=length, tz="UTC", unit="ns")
    texts = list(hours.tz_convert(zone).strftime("%Y-%m-%d %H:%M"))
    order = slice(None, None, -1) if newest_first else slice(None)
    assert read(*texts[order], timeframe=timeframe, zone=zone) == list(hours[order])


def test_an_hour_of_the_doubled_night_that_stands_alone_is_placed_by_its_neighbours_or_refused() -> None:
    assert read("2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 04:00", zone="Europe/Berlin")[1] == pd.Timestamp("2023-10-29T00:00Z")
    with pytest.raises(CandleFileInvalid, match=r"row 2: 2023-10-29 02:00 is twice in Europe/Berlin"):
        read("2023-10-28 00:00", "2023-10-29 02:00", "2023-10-29 23:00", zone="Europe/Berlin")
    with pytest.raises(CandleFileInvalid, match=r"row 2: 2024-03-31 02:30 does not exist in Europe/Berlin"):
        read("2024-03-31 01:30", "2024-03-31 02:30", zone="Europe/Berlin")


def test_times_of_the_end_of_a_bar_are_moved_to_its_start() -> None:
    texts = ["2024-01-31 13:59:59.999", "2024-01-31 14:59:59.999"]
    assert read(*texts) == [FIRST, FIRST + pd.Timedelta(hours=1)]


@pytest.mark.parametrize(
    ("texts", "timeframe", "first"),
    [
        (["01/02/2024", "02/02/2024", "03/02/2024"], DAY, "2024-02-01"),  # as months they would be a month apart
        (["02/01/2024", "02/02/2024", "02/03/2024"], DAY, "2024-02-01"),
        (["12/02/2024", "13/02/2024"], DAY, "2024-02-12"),
        (["05-01-24", "05-02-24", "05-03-24"], DAY, "2024-05-01"),
        (["24/05/01", "24/05/02", "24/05/03"], DAY, "2024-05-01"),
        (["03/03/2024"], DAY, "2024-03-03"),
    ],
)
def test_whether_day_or_month_comes_first_is_decided_by_the_whole_column(texts: list[str], timeframe: Timeframe, first: str) -> None:
    assert read(*texts, timeframe=timeframe)[0] == pd.Timestamp(first, tz="UTC")


def test_an_order_that_stays_open_is_asked_for() -> None:
    texts = [f"03/04/2024 {hour:02}:00" for hour in range(10)]
    with pytest.raises(CandleFileInvalid, match=r"'03/04/2024 00:00' may have the day or the month first.*--date-format 'day first'"):
        read(*texts)
    assert read(*texts, date_format="day first")[0] == pd.Timestamp("2024-04-03", tz="UTC")
    assert read(*texts, date_format="month first")[0] == pd.Timestamp("2024-03-04", tz="UTC")
    assert read(*texts, date_format="%d/%m/%Y %H:%M")[0] == pd.Timestamp("2024-04-03", tz="UTC")
    with pytest.raises(CandleFileInvalid, match=r"is not written as --date-format '%Y' says"):
        read(*texts, date_format="%Y")
    with pytest.raises(CandleFileInvalid, match=r"--date-format 'backwards' does not fit"):
        read(*texts, date_format="backwards")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((SECONDS, float("nan")), "row 2: the time is nan"),
        ((SECONDS, None), "row 2: the time is missing"),
        (("2024-01-31T13:00:00Z", "noon"), "row 2: 'noon' cannot be read"),
        (("31/01/2024", "2024-01-31"), "row 2: '2024-01-31' is written in another way"),
        (("31/01/2024", "01/31/2024"), "row 2: '01/31/2024' cannot be read as a time, day first as in other rows"),
        (("2024-01-31T13:00:00+01:00", "2024-01-31T14:00:00"), "row 2: the time zone changes from \\+01:00 to none"),
        (("2024-01-31 13:00 IST",), "row 1: the time zone 'IST' is not unique"),
        (("30-Feb-2024",), "row 1: '30-Feb-2024' cannot be read"),
        (("30-Foo-2024",), "row 1: 'Foo' is no month"),
        (("2024-01-31 13:00 PM",), "row 1: '2024-01-31 13:00 PM' cannot be read"),
        (("1066-10-14T09:00:00Z",), "row 1"),
        (("9024-10-14T09:00:00Z",), "row 1"),
    ],
    ids=str,
)
def test_a_time_that_cannot_be_read_is_refused_with_its_row(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CandleFileInvalid, match=message):
        read(*values)


def session(zone: str, first: str, last: str, minutes: int) -> pd.DatetimeIndex:
    days = pd.bdate_range("2024-02-26", "2024-03-22")
    return pd.DatetimeIndex(
        [t for d in days for t in pd.date_range(f"{d:%Y-%m-%d} {first}", f"{d:%Y-%m-%d} {last}", freq=f"{minutes}min", tz=zone)]
    )


@pytest.mark.parametrize("stamp", ["naive", "offsets"])
@pytest.mark.parametrize(
    ("zone", "first", "last", "minutes", "ends"),
    [
        ("America/New_York", "09:35", "16:00", 5, True),
        ("America/New_York", "09:30", "15:55", 5, False),
        ("Asia/Kolkata", "09:30", "15:30", 15, True),
        ("Asia/Kolkata", "09:15", "15:15", 15, False),
        ("Europe/Berlin", "09:05", "17:30", 5, False),  # as of an exchange that opens five minutes later
    ],
)
def test_days_that_end_at_the_close_are_stamped_with_ends(zone: str, first: str, last: str, minutes: int, ends: bool, stamp: str) -> None:
    times = session(zone, first, last, minutes)
    texts = [f"{t:%Y-%m-%d %H:%M:%S}" if stamp == "naive" else t.isoformat() for t in times]
    want = (times.tz_localize(None).tz_localize("UTC") if stamp == "naive" else times.tz_convert("UTC")).as_unit("ns")
    shift = pd.Timedelta(minutes=minutes)
    column, timeframe = [pa.array(texts)], Timeframe.parse(f"{minutes}m")

    def read(stamped: str) -> tuple[list[pd.Timestamp], str]:
        index, notes = read_times(column, Origin("file.csv"), timeframe, notation_of("", "", stamped))
        return list(index), " ".join(notes)

    found, told = read("")
    assert found == list(want - shift if ends else want)
    assert ("times are the ends" if ends else "--stamped end where they are") in told
    assert read("end")[0] == list(want - shift)
    assert read("open")[0] == list(want)
