"""Bars as arrays: what features are computed from, and longer bars made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.factor_features import factor_names
from forwardtrader.models.features.rolling import Series, lag, window_mean, window_rms

VOLATILITY_BARS: Final = 168
SECOND: Final = 1_000_000_000
LATE: Final = "late"  # the column of `Bars.late`
_DAY: Final = 86_400 * SECOND
_MONDAY: Final = 4 * _DAY  # the first one after 1970-01-01: where weeks begin


@dataclass(frozen=True)
class Bars:
    """Columns of a candle frame as float64 [T], and what several features share, computed once.

    `times` holds bar-open times in UTC nanoseconds; returns are logarithmic, close to close. `factors` holds the columns named
    `factor_...`: what was known at each close, NaN where nothing was. `step` is the length of one bar in nanoseconds, 0 where nobody said;
    `peers` are the bars of all symbols of the run, for features that look at others.
    `late` says of each bar in which turn after those of the other symbols it came to a live session, 0 where it came with them; None where
    none came late.
    """

    times: NDArray[np.int64]
    open: Series
    high: Series
    low: Series
    close: Series
    volume: Series
    factors: Mapping[str, Series] = field(default_factory=dict)
    step: int = 0
    peers: Mapping[str, Bars] = field(default_factory=dict, repr=False)
    late: NDArray[np.int64] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, frame: pd.DataFrame, timeframe: Timeframe | None = None) -> Bars:
        """Take a candle frame (UTC index of bar-open times; open, high, low, close, volume); `resample` needs the length of its bars."""
        index = pd.DatetimeIndex(frame.index)
        times = index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
        names = ("open", "high", "low", "close", "volume")
        opened, high, low, close, volume = (np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64)) for name in names)
        factors = {name: frame[name].to_numpy(dtype=np.float64) for name in factor_names(frame.columns)}
        late = frame[LATE].to_numpy(dtype=np.int64) if LATE in frame.columns else None
        step = timeframe.seconds * SECOND if timeframe else 0
        return cls(times, opened, high, low, close, volume, factors, step, late=late)

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def log_close(self) -> Series:
        return np.log(self.close)

    @cached_property
    def returns(self) -> Series:
        """Log return of each bar; the first is NaN."""
        return self.log_close - lag(self.log_close, 1)

    @cached_property
    def volatility(self) -> Series:
        """Root mean square of the last 168 log returns: the unit in which moves are measured."""
        return floored(window_rms(self.returns, VOLATILITY_BARS))

    @cached_property
    def scaled_returns(self) -> Series:
        """Each return in units of the volatility known one bar before it."""
        return np.clip(self.returns / lag(self.volatility, 1), -8.0, 8.0)

    @cached_property
    def log_volume(self) -> Series:
        return np.log1p(self.volume)

    @cached_property
    def relative_volume(self) -> Series:
        """Log volume against its mean over the last 168 bars."""
        return self.log_volume - window_mean(self.log_volume, VOLATILITY_BARS)

    @cached_property
    def log_range(self) -> Series:
        """Log of high over low; a bar printed upside down still has a range."""
        return np.abs(np.log(self.high / self.low))

    def copied(self) -> Bars:
        """The same numbers in arrays of their own, without factors and peers."""
        prices = (self.open.copy(), self.high.copy(), self.low.copy(), self.close.copy())
        return Bars(self.times.copy(), *prices, self.volume.copy(), step=self.step)

    def window(self, first: int, last: int) -> Bars:
        """Rows [first, last), without the factors; the peers keep all of theirs."""
        rows = slice(first, last)
        prices = (self.open[rows], self.high[rows], self.low[rows], self.close[rows])
        late = None if self.late is None else self.late[rows]
        return Bars(self.times[rows], *prices, self.volume[rows], step=self.step, peers=self.peers, late=late)

    def resample(self, length: str) -> LongerBars:
        """Longer bars on the grid of UTC, closed ones only; weeks begin on Monday.

        A first period that begins before the first bar at hand is left out: nobody knows whether it had bars before.

        Args:
            length: as of a timeframe, e.g. `4h`; a multiple of the bars'.

        Raises:
            UnknownTimeframe: the text is none.
            InvalidSetting: no multiple, or nobody said how long these bars are (`Bars.of(frame, timeframe)`).
        """
        size = Timeframe.parse(length).seconds * SECOND
        if not self.step:
            raise InvalidSetting(f"bars whose length is not known cannot be joined to bars of {length}; give it with Bars.of")
        if size <= self.step or size % self.step:
            raise InvalidSetting(
                f"bars of {self.step // SECOND // 60} minutes cannot be joined to bars of {length}; choose a multiple of theirs"
            )
        begins = self.times - (self.times - (_MONDAY if size % (7 * _DAY) == 0 else 0)) % size
        edges = np.flatnonzero(np.diff(begins, prepend=begins[:1] - size))  # the first row of each period
        if len(edges) and self.times[0] != begins[0]:
            edges = edges[1:]
        if len(edges) and self.times[-1] + self.step < begins[-1] + size:
            edges = edges[:-1]  # still open
        return self._joined(edges, begins, size)

    def _joined(self, edges: NDArray[np.intp], begins: NDArray[np.int64], size: int) -> LongerBars:
        """The bars of the periods that begin at the rows `edges`, which end at the next one of them or at their own end."""
        opens = begins[edges]
        ends = np.searchsorted(begins, opens, side="right")
        rows = np.searchsorted(opens + size, self.times + self.step, side="right") - 1
        if not len(edges):
            nothing = np.zeros(0)
            return LongerBars(opens, nothing, nothing, nothing, nothing, nothing, step=size, newest=rows)
        until = int(ends[-1])
        high, low, volume = (
            join.reduceat(column[:until], edges)
            for join, column in ((np.maximum, self.high), (np.minimum, self.low), (np.add, self.volume))
        )
        return LongerBars(opens, self.open[edges], high, low, self.close[ends - 1], volume, step=size, newest=rows)


@dataclass(frozen=True)
class LongerBars(Bars):
    """Closed bars made of shorter ones.

    `newest` [T] holds for each shorter bar the row of the longer one that closed last, -1 before the first.
    """

    newest: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))

    def align(self, series: Series) -> Series:
        """A series of these bars at the shorter ones: float64 [T]; each sees the bar that closed by its own close, NaN before the first."""
        values = np.asarray(series, dtype=np.float64)
        if values.shape != self.close.shape:
            raise InvalidSetting(f"align takes one number for each of the {len(self)} longer bars, not shape {values.shape}")
        return np.append(values, np.nan)[self.newest]


def floored(volatility: Series) -> Series:
    """Keep a volatility away from zero, so that a market that stands still divides nothing by nothing."""
    return np.maximum(volatility, 1e-6)
