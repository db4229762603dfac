"""Backtrader's view of a candle frame: the whole series is copied into the lines at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.longer_bars import OpenStamped, as_milliseconds, backtrader_unit

_NANOSECONDS_PER_DAY: Final = 86_400 * 10**9
_EPOCH: Final = 719_163  # 1970-01-01 in Backtrader's count of days
_LINES: Final = ("open", "high", "low", "close", "volume")


class FrameData(OpenStamped):
    """A data feed of a candle frame (`dataname`); each bar carries its OPEN time in UTC, as everywhere in this project.

    A bar is delivered once it is closed, so at a bar stamped 12:00 of a 1h series the strategy knows the market up to 13:00. Beside shorter
    bars of another feed it comes with the first of them that closes no earlier, and carries that one's time (`longer_bars`). Standard
    parameters work as usual; with filters or another input time zone the bars take Backtrader's own, slower way.
    """

    def start(self) -> None:
        super().start()
        frame: pd.DataFrame = self.p.dataname
        self._at = 0
        opens = candles.times_of(frame)
        self._opens, delivered = opens.as_unit("ns").asi8, self._delivery(opens)
        self._times = as_backtrader_days(delivered)
        self._values = {name: frame[name].to_numpy(dtype=np.float64) for name in _LINES}

    def preload(self) -> None:
        if self._filters or self._tzinput or self.lines.datetime.extension:
            super().preload()
            return
        first, last = np.searchsorted(self._times, self.fromdate, "left"), np.searchsorted(self._times, self.todate, "right")
        chosen = slice(int(first), int(last))
        for name in _LINES:
            getattr(self.lines, name).array.frombytes(self._values[name][chosen].tobytes())
        self.lines.openinterest.array.frombytes(np.zeros(max(0, chosen.stop - chosen.start)).tobytes())
        self.lines.datetime.array.frombytes(self._times[chosen].tobytes())
        self._at = len(self._times)  # all delivered: a run bar by bar calls `_load` once more at the end
        self.home()

    def opened_ms(self) -> int:
        """When the present bar opened (ms UTC); of several that came at one time the first."""
        bar = int(np.searchsorted(self._times, self.lines.datetime[0]))
        return int(self._opens[bar] // 1_000_000)

    def present_ms(self) -> int:
        """The present moment (ms UTC) where shorter bars run beside these: the newest one's close. 0 where none do, or none came yet."""
        return max((as_milliseconds(d.datetime[0]) + d.step_ms for d in self._shorter() if len(d)), default=0)

    def _shorter(self) -> list[FrameData]:
        """The feeds of the shortest bars beside this one; none where its own are as short."""
        beside = [d for d in getattr(getattr(self, "_env", None), "datas", ()) if isinstance(d, FrameData)]
        shortest = min((d.step_ms for d in beside), default=self.step_ms)
        return [d for d in beside if d.step_ms == shortest] if shortest < self.step_ms else []

    def _delivery(self, opens: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """By bar, the time that it carries: that of the first shorter bar which closes no earlier; those before all of these come by
        themselves."""
        shorter = self._shorter()
        if not shorter:
            return opens
        step = pd.Timedelta(shorter[0].step_ms, "ms")
        stamps = opens + pd.Timedelta(self.step_ms, "ms") - step
        beside = shorter[0].times.append([each.times for each in shorter[1:]]).unique().sort_values()
        due = beside.searchsorted(stamps)
        along = (due < len(beside)) & (stamps > beside[0] - step)
        return pd.DatetimeIndex(stamps.where(~along, beside[np.minimum(due, len(beside) - 1)]))

    @property
    def times(self) -> pd.DatetimeIndex:
        """The open times of all bars of the frame."""
        return candles.times_of(self.p.dataname)

    def _load(self) -> bool:
        if self._at >= len(self._times):
            return False
        for name in _LINES:
            getattr(self.lines, name)[0] = float(self._values[name][self._at])
        self.lines.openinterest[0] = 0.0
        self.lines.datetime[0] = float(self._times[self._at])
        self._at += 1
        return True


def frame_data(frame: pd.DataFrame, timeframe: Timeframe, *, name: str = "", **params: Any) -> FrameData:
    """A feed of `frame` whose Backtrader timeframe and compression are those of `timeframe`."""
    unit, compression = backtrader_timeframe(timeframe)
    return FrameData(dataname=frame, name=name, timeframe=unit, compression=compression, **params)


def backtrader_timeframe(timeframe: Timeframe) -> tuple[int, int]:
    """Backtrader's unit and count, e.g. 1h is 60 of `Minutes` and 1d is 1 of `Days`."""
    return backtrader_unit(timeframe.seconds)


def as_backtrader_days(index: pd.DatetimeIndex) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Times as Backtrader's floating day count (UTC), bit for bit as its own `date2num` for whole minutes."""
    days, rest = np.divmod(index.as_unit("ns").asi8, _NANOSECONDS_PER_DAY)
    minutes = rest // (60 * 10**9)
    fraction = (minutes // 60) / 24 + (minutes % 60) / 1440 + (rest % (60 * 10**9)) / _NANOSECONDS_PER_DAY
    return np.asarray(_EPOCH + days + fraction, dtype=np.float64)
