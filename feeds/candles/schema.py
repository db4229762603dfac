"""The candle schema, and the validation of all candles that enter the program.

A candle frame has a `DatetimeIndex` named `timestamp` (UTC, nanoseconds, the OPEN time of each bar, strictly rising and on the grid of
its timeframe, or of its market's own) and the float64 columns open, high, low, close, volume. Prices are in quote units, volume in base
units or shares.

A frame may also have the columns of `core.types.FLOW`, float64, NaN where they are not known: what is impossible in them is not known, and
no reason to refuse the bar.

Missing bars are found and listed, never filled. A market that closes at night or at weekends is recognised by its data (no bar on any
Saturday, or none in some hours of the day): there only a run of more than three missing weekdays counts as a gap, since holidays are no
fault of the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import FLOW, OHLCV, Timeframe
from forwardtrader.feeds.candles.grid import off_own_grid, off_utc_grid
from forwardtrader.feeds.candles.sessions import missing_in_sessions

PRICES: Final = ("open", "high", "low", "close")
_DAY: Final = 86_400
_HOLIDAYS: Final = 3  # weekdays in a row that a market may rest without a gap in the data
_SATURDAY: Final = 5
_OPEN_HOURS: Final = 18  # of a day: fewer, and the market has a night
_STEP: Final = 1e-10  # a high may lie so far under its close: sums of floats differ in their last digits
_CONSTANT_FROM: Final = 10  # fewer equal bars than this may be a quiet market

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Gap:
    """Bars that the source did not print: `bars` of them, from the one that would have opened at `first_missing` (UTC)."""

    first_missing: datetime
    bars: int

    def __str__(self) -> str:
        return f"{self.first_missing:%Y-%m-%d %H:%M} ({self.bars} bars)"


@dataclass(frozen=True)
class Origin:
    """The source of rows, named in error messages: `lines` has the number of each row in the file, counted in what `counts` says."""

    name: str
    lines: np.ndarray[Any, np.dtype[np.int64]] | None = None
    counts: str = "line"

    def refuse(self, row: int, at: pd.Timestamp | None, fault: str) -> NoReturn:
        """Raise `CandleFileInvalid` for row number `row` (counted from 0)."""
        place = f"row {row + 1}" if self.lines is None else f"{self.counts} {self.lines[row]}"
        time = "" if at is None else f" ({at:%Y-%m-%d %H:%M})"
        raise CandleFileInvalid(f"{self.name}, {place}{time}: {fault}")


def empty() -> pd.DataFrame:
    """A candle frame without rows."""
    return from_arrays(np.empty(0, dtype=np.int64), *(np.empty(0) for _ in OHLCV))


def from_arrays(times_ms: np.ndarray[Any, Any], *columns: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Build a frame from open times in UTC milliseconds and the five columns, or those of `FLOW` besides; nothing is checked."""
    stamps = np.asarray(times_ms, dtype=np.int64).astype("datetime64[ms]").astype("datetime64[ns]")
    index = pd.DatetimeIndex(stamps, name="timestamp").tz_localize("UTC")
    values = {name: np.asarray(column, dtype=np.float64) for name, column in zip((*OHLCV, *FLOW)[: len(columns)], columns, strict=True)}
    return pd.DataFrame(values, index=index)


def split_flow(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The five columns of candles, and those of `FLOW` where any of their values is known."""
    if not set(FLOW) & set(frame.columns):
        return frame, None
    flow = frame.reindex(columns=list(FLOW))
    return frame[list(OHLCV)], flow if flow.notna().to_numpy().any() else None


def validate(
    frame: pd.DataFrame, timeframe: Timeframe, *, origin: Origin, now: datetime | None = None, whole: bool = True, own_grid: bool = False
) -> pd.DataFrame:
    """Validate candles and return them in the schema, without bars that are not closed at `now` (None keeps all).

    Args:
        frame: columns of `OHLCV`, in any numeric or textual dtype, with a UTC `DatetimeIndex`.
        whole: the frame is a whole series and not a page of one, so it must also move and match `timeframe`.
        own_grid: bars may open on a grid of their market's own (`feeds.candles.grid`) instead of that of UTC.

    Raises:
        CandleFileInvalid: the first fault found, with its location and how to fix it.
    """
    if not len(frame):
        raise CandleFileInvalid(f"{origin.name}: no rows; get the data again")
    missing = [name for name in OHLCV if name not in frame.columns]
    if missing:
        raise CandleFileInvalid(f"{origin.name}: column {missing[0]!r} is missing; needed are timestamp, {', '.join(OHLCV)}")
    index = _utc_index(frame, origin)
    values = {name: _numbers(frame[name], index, origin) for name in OHLCV}
    _check_prices(values, index, origin)
    _check_order(index, origin)
    if whole:
        _check_step(index, timeframe, origin)
    _check_grid(index, timeframe, origin, own_grid)
    if whole:
        _check_movement(values, origin)
    checked = pd.DataFrame(values | _flow(frame, values["volume"]), index=index)
    return checked if now is None else _closed(checked, timeframe, now, origin)


def drop_unclosed(frame: pd.DataFrame, timeframe: Timeframe, now: datetime) -> pd.DataFrame:
    """Keep the bars whose whole interval has passed at `now`; venues serve the running bar last, and its price will still change."""
    return frame.loc[: pd.Timestamp(now) - timeframe.delta] if len(frame) else frame


def find_gaps(index: pd.DatetimeIndex, timeframe: Timeframe) -> tuple[Gap, ...]:
    """List the runs of missing bars inside `index` (sorted, UTC); of a market that rests, those within its sessions."""
    if len(index) < 2:
        return ()
    step = timeframe.seconds * 1_000_000_000
    times = index.as_unit("ns").asi8
    missing, first = np.maximum(np.diff(times) // step - 1, 0), times[:-1] + step
    if not trades_round_the_clock(index):
        is_long = _missing_weekdays(index) > _HOLIDAYS
        seconds = index.as_unit("s").asi8
        missing = np.where(is_long, missing, 0) if timeframe.seconds >= _DAY else missing_in_sessions(seconds, timeframe.seconds, is_long)
        first = np.where(is_long, first, times[1:] - missing * step)  # within a session: right before the next bar
    places = np.flatnonzero(missing)
    return tuple(Gap(_moment(int(first[i])), int(missing[i])) for i in places)


def times_of(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """The open times of a candle frame."""
    index = frame.index
    assert isinstance(index, pd.DatetimeIndex)
    return index


def trades_round_the_clock(index: pd.DatetimeIndex) -> bool:
    """False for a series of two weeks or more without a bar on a Saturday, and for a shorter one that is never traded in some hours."""
    if len(index) < 2:
        return True
    if index[-1] - index[0] >= pd.Timedelta(days=14):
        return bool((index.day_of_week == _SATURDAY).any())
    return not _has_nights(index)


def _has_nights(index: pd.DatetimeIndex) -> bool:
    """Whether some hours of the day have no bar on any of at least three days."""
    step = _usual_step(index)
    times = index.as_unit("ns").asi8 // 1_000_000_000
    if step >= _DAY or len(np.unique(times // _DAY)) < 3:
        return False
    covered = np.unique(np.concatenate([(times + at) % _DAY // 3600 for at in range(0, step, min(step, 3600))]))
    return len(covered) < _OPEN_HOURS


def cut(frame: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Rows [first, last) with an index and columns of their own: a slice of pandas holds on to all that was cut away."""
    rows = frame.iloc[first:last]
    if len(rows) == len(frame):
        return frame
    own = rows.copy()
    own.index = rows.index.copy(deep=True)
    return own


def grid_floor(moment: datetime, timeframe: Timeframe) -> datetime:
    """The open time of the bar that contains `moment`; weeks open on Monday."""
    offset = 4 * _DAY if timeframe.seconds % (7 * _DAY) == 0 else 0
    seconds = int((moment.timestamp() - offset) // timeframe.seconds) * timeframe.seconds + offset
    return datetime.fromtimestamp(seconds, UTC)


def describe_gaps(gaps: Iterable[Gap]) -> str:
    """One readable line, or "" if nothing is missing."""
    listed = list(gaps)
    if not listed:
        return ""
    longest = max(listed, key=lambda gap: gap.bars)
    total = sum(gap.bars for gap in listed)
    return f"{len(listed)} gaps, {total} bars missing, longest from {longest}; never filled"


def _closed(frame: pd.DataFrame, timeframe: Timeframe, now: datetime, origin: Origin) -> pd.DataFrame:
    closed = drop_unclosed(frame, timeframe, now)
    if len(frame) - len(closed) > 1:  # one bar may be running, a second one lies in the future
        origin.refuse(
            len(closed) + 1, times_of(frame)[len(closed) + 1], "the bar lies in the future; check its time zone and this machine's clock"
        )
    return closed


def _utc_index(frame: pd.DataFrame, origin: Origin) -> pd.DatetimeIndex:
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        raise CandleFileInvalid(f"{origin.name}: rows carry no times; a timestamp column with UTC times is needed")
    if index.tz is None:
        raise CandleFileInvalid(f"{origin.name}: times carry no time zone; all times must be UTC")
    unreadable = np.flatnonzero(index.isna())
    if len(unreadable):
        origin.refuse(int(unreadable[0]), None, "the time is missing; write it as 2024-01-31T13:00:00Z")
    return index.tz_convert("UTC").as_unit("ns").rename("timestamp")


def _numbers(column: pd.Series[Any], index: pd.DatetimeIndex, origin: Origin) -> Floats:
    if column.dtype.kind in "fiu":
        numbers = column.to_numpy(dtype=np.float64)
    else:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        row = int(wrong[0])
        value = column.iloc[row]
        fault = (
            f"{column.name} is missing" if pd.isna(value) or str(value).strip() == "" else f"{column.name} is {str(value)!r}, not a number"
        )
        origin.refuse(row, index[row], f"{fault}; correct the value or remove the row")
    return numbers


def _flow(frame: pd.DataFrame, volume: Floats) -> dict[str, Floats]:
    """The columns of `FLOW` that the frame has; NaN for what cannot be."""
    found = {name: pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64) for name in FLOW if name in frame.columns}
    most = {"taker_volume": volume * (1 + _STEP), "trades": np.full(len(frame), np.inf)}
    return {name: np.where((values >= 0) & (values <= most[name]) & np.isfinite(values), values, np.nan) for name, values in found.items()}


def _check_prices(values: dict[str, Floats], index: pd.DatetimeIndex, origin: Origin) -> None:
    o, h, low, c, v = (values[name] for name in OHLCV)
    for name in PRICES:
        _refuse_first(values[name] <= 0, index, origin, f"{name} is {{{name}:g}}, prices are above zero", values)
    _refuse_first(v < 0, index, origin, "volume is {volume:g}, volumes are not negative", values)
    above, below = h * (1 + _STEP), low * (1 - _STEP)
    _refuse_first(above < low, index, origin, "high {high:g} is below low {low:g}", values)
    _refuse_first((above < o) | (above < c), index, origin, "high {high:g} is below open {open:g} or close {close:g}", values)
    _refuse_first((below > o) | (below > c), index, origin, "low {low:g} is above open {open:g} or close {close:g}", values)


def _refuse_first(wrong: Flags, index: pd.DatetimeIndex, origin: Origin, fault: str, values: dict[str, Floats]) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        message = fault.format(**{name: float(column[row]) for name, column in values.items()})
        origin.refuse(row, index[row], f"{message}; correct the value or remove the row")


def _check_order(index: pd.DatetimeIndex, origin: Origin) -> None:
    steps = np.diff(index.asi8)
    wrong = np.flatnonzero(steps <= 0)
    if not len(wrong):
        return
    row = int(wrong[0]) + 1
    if steps[row - 1] == 0:
        origin.refuse(row, index[row], "the same time stands twice; remove one of the rows, or name the zone of local times with --tz")
    origin.refuse(row, index[row], f"earlier than the row before it ({index[row - 1]:%Y-%m-%d %H:%M}); sort the rows by time")


def _usual_step(index: pd.DatetimeIndex) -> int:
    """The commonest distance between rows, in seconds; the shortest of several: a session of two bars has as many nights."""
    steps, counts = np.unique(np.diff(index.as_unit("ns").asi8), return_counts=True)
    return int(steps[np.argmax(counts)]) // 1_000_000_000


def _check_step(index: pd.DatetimeIndex, timeframe: Timeframe, origin: Origin) -> None:
    if len(index) < 3:
        return
    usual = _usual_step(index)
    if usual != timeframe.seconds:
        raise CandleFileInvalid(f"{origin.name}: rows are {_span(usual)} apart, not {timeframe}; name the right one with --timeframe")


def _check_grid(index: pd.DatetimeIndex, timeframe: Timeframe, origin: Origin, own_grid: bool) -> None:
    wrong = off_own_grid(index.asi8, timeframe) if own_grid else off_utc_grid(index.asi8, timeframe)
    if len(wrong):
        row = int(wrong[0])
        origin.refuse(row, index[row], f"the bar does not open on the {timeframe} grid in UTC; write its open time, in UTC")


def _check_movement(values: dict[str, Floats], origin: Origin) -> None:
    first = values["close"][:1]
    if len(values["close"]) >= _CONSTANT_FROM and all((values[name] == first).all() for name in PRICES):
        raise CandleFileInvalid(
            f"{origin.name}: all {len(values['close'])} bars have the price {first[0]:g}; no market stands still, get the data again"
        )


def _missing_weekdays(index: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.int64]]:
    days = index.tz_localize(None).to_numpy().astype("datetime64[D]")
    return np.asarray(np.busday_count(days[:-1], days[1:]) - 1, dtype=np.int64)


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1_000_000_000, UTC)


def _span(seconds: int) -> str:
    for unit, size in (("d", _DAY), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds} seconds"
