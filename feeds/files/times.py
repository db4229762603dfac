"""Time stamps of candle files: parsing of common notations into UTC."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.schema import Origin

_LOG: Final = log.logger("feeds")

# Unix times name their unit by their size: from 1973 on, each unit has its own number of digits.
_UNITS: Final = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (np.inf, 1))
_ZONE: Final = r"(?<=\d)\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})$"
_HOUR_WITH_LETTERS: Final = r"^\d{4}-\d{2}-\d{2} \d{1,2}-[AP]M$"
_PLAIN: Final = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?)?$"
_ISO_HINT: Final = "write times as 2024-01-31T13:00:00Z"


def read_times(column: pd.Series[Any], origin: Origin, timeframe: Timeframe) -> pd.DatetimeIndex:
    """Turn numbers (unix seconds to nanoseconds, row by row), texts or time stamps into UTC times, in the order of the file.

    Raises:
        CandleFileInvalid: a time that cannot be read, or two time zones in one file.
    """
    if column.dtype.kind in "iuf":
        times = _from_numbers(column, origin)
    elif isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        times = _from_stamps(pd.DatetimeIndex(column), timeframe)
    else:
        times = _from_text(column, origin, timeframe)
    return times.as_unit("ns").rename("timestamp")


def _from_numbers(column: pd.Series[Any], origin: Origin) -> pd.DatetimeIndex:
    numbers = column.to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers <= 0) | (numbers > 7e18))
    if len(wrong):
        origin.refuse(int(wrong[0]), None, f"the time is {column.iloc[int(wrong[0])]!s}; {_ISO_HINT}")
    factor = np.select([numbers < limit for limit, _ in _UNITS], [size for _, size in _UNITS])
    whole = numbers.astype(np.int64)
    # The whole part first, in integers: a float cannot hold nanoseconds since 1970.
    nanoseconds = whole * factor + np.round((numbers - whole) * factor).astype(np.int64)
    return pd.DatetimeIndex(nanoseconds.astype("datetime64[ns]")).tz_localize("UTC")


def _from_stamps(stamps: pd.DatetimeIndex, timeframe: Timeframe) -> pd.DatetimeIndex:
    if stamps.tz is None:
        return stamps.tz_localize("UTC")
    local = stamps.tz_localize(None)
    return local.tz_localize("UTC") if _are_dates(local, timeframe) else stamps.tz_convert("UTC")


def _from_text(column: pd.Series[Any], origin: Origin, timeframe: Timeframe) -> pd.DatetimeIndex:
    text = column.astype(str).str.strip()
    digits = pd.to_numeric(text, errors="coerce")
    if digits.notna().all():
        return _from_numbers(digits, origin)
    zones, bare = _zones(text)
    local = _parsed(bare)
    wrong = np.flatnonzero(local.isna() | (local.year < 1970) | (local.year > 2200))
    if len(wrong):
        row = int(wrong[0])
        origin.refuse(row, None, f"{text.iloc[row]!r} cannot be read as a time; {_ISO_HINT}")
    if _are_dates(local, timeframe):
        return local.tz_localize("UTC")
    strange = np.flatnonzero((zones != zones.iloc[0]).to_numpy())
    if len(strange):
        row = int(strange[0])
        origin.refuse(
            row, None, f"the time zone changes from {zones.iloc[0] or 'none'} to {zones.iloc[row] or 'none'}; write all times in UTC"
        )
    return (local - _offset(zones.iloc[0])).tz_localize("UTC")


def _zones(text: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """The zone of each time (`Z` for all names of UTC, empty for none), and the times without it."""
    if text.str.endswith("Z").all():  # nearly every file: no need to search each row
        return pd.Series("Z", index=text.index), text.str.removesuffix("Z")
    zones = text.str.extract(_ZONE, expand=False).fillna("").replace({"UTC": "Z", "GMT": "Z", "+00:00": "Z", "+0000": "Z"})
    return zones, text.str.replace(_ZONE, "", regex=True)


def _parsed(text: pd.Series[Any]) -> pd.DatetimeIndex:
    form = "%Y-%m-%d %I-%p" if text.iloc[:1].str.match(_HOUR_WITH_LETTERS).all() else "ISO8601"
    try:
        parsed = pd.DatetimeIndex(pd.to_datetime(text, format=form, errors="coerce"))
        if parsed.tz is None:
            return parsed
    except ValueError:
        log.event(_LOG, "times_of_many_zones", first=str(text.iloc[0]))
    # Some carry a zone written in no known way: only those without one can be read.
    return pd.DatetimeIndex(pd.to_datetime(text.where(text.str.match(_PLAIN)), format=form, errors="coerce"))


def _offset(zone: str) -> pd.Timedelta:
    if zone in ("", "Z"):
        return pd.Timedelta(0)
    sign = -1 if zone[0] == "-" else 1
    return sign * pd.Timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))


def _are_dates(local: pd.DatetimeIndex, timeframe: Timeframe) -> bool:
    """Daily bars at local midnight: what is meant is the trading date."""
    return timeframe.seconds >= 86400 and bool((local == local.normalize()).all())
