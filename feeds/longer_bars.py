"""Longer bars beside short ones: joined from the short ones, or a feed of their own, and in neither case visible before they are closed.

Feeds of this project carry the OPEN time of each bar, and a bar is delivered when it is closed. Backtrader delivers bars of one time
together, so that a 4h bar stamped 12:00 would come with the 1h bar of 12:00, three hours before its close. A longer bar is therefore
delivered with the first short bar that closes no earlier, and carries that one's time: the 4h bar of 12:00 to 16:00 comes with the 1h bar
of 15:00. At that bar `data1.datetime[0] == data0.datetime[0]`, as in Backtrader.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import backtrader as bt
from backtrader.linebuffer import LineBuffer

from forwardtrader.core.errors import InvalidSetting

_DAY_MS: Final = 86_400_000
_EPOCH: Final = 719_163  # 1970-01-01 in Backtrader's count of days
_UNIT_MS: Final = {
    bt.TimeFrame.Seconds: 1000, bt.TimeFrame.Minutes: 60_000, bt.TimeFrame.Days: _DAY_MS, bt.TimeFrame.Weeks: 7 * _DAY_MS,
}  # fmt: skip
_CALENDAR: Final = {bt.TimeFrame.Months: 1, bt.TimeFrame.Years: 12}
# Arguments of `cerebro.resampledata` that only say how a bar is stamped, which is settled here.
_STAMPING: Final = frozenset({"bar2edge", "adjbartime", "rightedge", "takelate", "sessionend"})
Period: TypeAlias = Callable[[int], tuple[int, int]]


class _Tick:
    """A number of the present bar, read where Backtrader copies all of them at every bar.

    Its bars may be shown while they are being made; here a bar is shown once, when it is closed.
    """

    def __init__(self, line: str) -> None:
        self._line = line

    def __get__(self, data: Any, owner: type | None = None) -> Any:
        return None if data is None or not len(data) else getattr(data.lines, self._line)[0]


class OpenStamped(bt.feed.DataBase):  # type: ignore[misc]  # Backtrader has no types
    """A feed whose bars carry their open time; it is resampled without a look ahead.

    A bar that comes too early beside another feed's is taken back; Backtrader's own feeds lose it where lines are only as long as they are
    looked back on (`exactbars`).
    """

    _taken_back = 0
    tick_open, tick_high, tick_low, tick_close = _Tick("open"), _Tick("high"), _Tick("low"), _Tick("close")
    tick_volume, tick_openinterest, tick_last = _Tick("volume"), _Tick("openinterest"), _Tick("close")

    def _tick_nullify(self) -> None:
        """The bar itself is the tick."""

    def _tick_fill(self, force: bool = False) -> None:
        """The bar itself is the tick."""

    def qbuffer(self, savemem: int = 0, replaying: bool = False) -> None:
        """With room for one more bar."""
        self._taken_back = 0
        super().qbuffer(savemem, replaying=True)

    def rewind(self, size: int = 1) -> None:
        for line in self.lines:
            line.set_idx(line.idx - size, force=True)
            line.lencount -= size
        self._taken_back += size

    def advance(self, size: int = 1, datamaster: Any = None, ticks: bool = True) -> None:
        if self._taken_back:
            self._taken_back = max(0, self._taken_back - size)
        lines = self.lines.lines
        if datamaster is not None or lines[0].mode == LineBuffer.QBuffer:
            super().advance(size, datamaster, ticks=ticks)
            return
        for line in lines:  # as Backtrader's, in one step a line
            line._idx += size
            line.lencount += size

    def advance_peek(self) -> float:
        """When the next bar is stamped; infinity where there is none. As Backtrader's, in one step where the lines lie whole in memory."""
        clock = self.lines.datetime
        if clock.mode == LineBuffer.QBuffer:
            return float(super().advance_peek())
        return float(clock.array[clock._idx + 1]) if clock.lencount < len(clock.array) - clock.extension else math.inf

    def buflen(self) -> int:
        """How many bars there are, those taken back among them."""
        if self._taken_back and self.lines[0].mode == LineBuffer.QBuffer:
            return len(self) + self._taken_back
        return int(self.lines.buflen())

    @property
    def step_ms(self) -> int:
        """Length of the bars that are loaded, in milliseconds; 0 where it is no fixed one."""
        return _UNIT_MS.get(self.p.timeframe, 0) * int(self.p.compression)

    def clone(self, **params: Any) -> JoinedBars:
        """A feed beside this one that shows its bars again; `cerebro.resampledata` resamples that."""
        return JoinedBars(dataname=self, **params)  # type: ignore[call-arg]  # Backtrader takes the params off

    def longer(self, seconds: int) -> JoinedBars:
        """A feed beside this one that shows its bars joined to longer ones."""
        unit, compression = backtrader_unit(seconds)
        copy = self.clone()
        copy.resample(timeframe=unit, compression=compression)
        return copy

    def resample(self, *, timeframe: int = bt.TimeFrame.Days, compression: int = 1, **stamping: Any) -> None:
        """Join the bars to longer ones on the grid of UTC; weeks begin on Monday.

        Raises:
            InvalidSetting: the length is no multiple of the bars', or an argument that would move the grid.
        """
        moved = sorted(name for name, value in stamping.items() if name not in _STAMPING and value)
        if moved:
            raise InvalidSetting(f"resampledata: {', '.join(moved)} is not known here; longer bars lie on the grid of UTC")
        self.addfilter(Joining, period=_period(timeframe, compression, self.step_ms), step_ms=self.step_ms)
        self._timeframe, self._compression = timeframe, compression

    def replay(self, **_arguments: Any) -> None:
        """Refused. `cerebro.replaydata` shows a longer bar while it is being made, by its parts, which takes bars stamped with their end.

        Raises:
            InvalidSetting: always.
        """
        raise InvalidSetting(
            "replaydata shows bars that are not closed yet, which no feed here does, since no venue's order would be filled as they say; "
            "use resampledata, or --resample, for longer bars beside the short ones"
        )


class Joining:
    """The filter that joins bars. A first period that begins before the first bar is left out, and so is a last one that is not over.

    Where the last bars of a period are missing, the longer bar comes with the first bar after it.
    """

    def __init__(self, data: Any, *, period: Period, step_ms: int) -> None:
        self._period, self._step = period, step_ms
        self._bar: list[float] | None = None  # open, high, low, close, volume of the period so far
        self._end = self._begin = -1
        self._is_whole = False

    def __call__(self, data: Any) -> bool:
        """Backtrader's protocol: True where the bar was taken out of the stream."""
        number = data.lines.datetime[0]
        at = as_milliseconds(number)
        over = self._take() if at >= self._end else None
        self._join(data, at)
        done = [bar for bar in (over, self._take() if at + self._step >= self._end else None) if bar is not None]
        if not done:
            data.backwards()
            return True
        _show(data, done[0])
        for bar in done[1:]:
            _show(data, bar)
            stacked = [line[0] for line in data.itersize()]
            _show(data, done[0])
            data._add2stack(stacked)
        return False

    def _join(self, data: Any, at: int) -> None:
        lines = data.lines
        bar = [lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0]]
        known = self._bar
        if known is None:
            before = self._end
            self._begin, self._end = self._period(at)
            # Of the very first period nobody knows whether it had bars before.
            self._bar, self._is_whole = bar, at == self._begin or before >= 0
            return
        known[1], known[2], known[3] = max(known[1], bar[1]), min(known[2], bar[2]), bar[3]
        known[4] += bar[4]

    def _take(self) -> list[float] | None:
        bar, self._bar = self._bar, None
        return bar if self._is_whole else None


class JoinedBars(OpenStamped):
    """The bars of another feed once more, for a filter that joins them; as Backtrader's `DataClone`, which counts rewound bars twice.

    Attributes:
        traded: the feed that orders given on this one are for: the one it is made of.
    """

    _clone = True

    def __init__(self) -> None:
        self.data = self.p.dataname
        self._dataname = self.data._dataname
        self.traded = getattr(self.data, "traded", self.data)
        for name in ("timeframe", "compression", "sessionstart", "sessionend"):
            setattr(self.p, name, getattr(self.data.p, name))

    def _start(self) -> None:
        self.start()
        for name in ("_tz", "_calendar", "fromdate", "todate", "sessionstart", "sessionend"):
            setattr(self, name, getattr(self.data, name))
        self._tzinput = None  # the other feed has brought its times to UTC
        self.lines.datetime._settz(self._tz)

    def start(self) -> None:
        super().start()
        self._shown, self._preloading = 0, False

    def preload(self) -> None:
        self._preloading = True
        super().preload()
        self.data.home()
        self._preloading = False

    def _load(self) -> bool:
        if self._preloading:
            self.data.advance()
        is_over = len(self.data) > self.data.buflen() if self._preloading else len(self.data) == self._shown
        if is_over:
            return False
        self._shown += 1
        for line, other in zip(self.lines, self.data.lines, strict=True):
            line[0] = other[0]
        return True


def backtrader_unit(seconds: int) -> tuple[int, int]:
    """Backtrader's unit and count of a length, e.g. 60 of `Minutes` for an hour and 1 of `Days` for a day."""
    for size, unit in ((604_800, bt.TimeFrame.Weeks), (86_400, bt.TimeFrame.Days)):
        if seconds % size == 0:
            return unit, seconds // size
    return bt.TimeFrame.Minutes, seconds // 60


def as_milliseconds(number: float) -> int:
    """Backtrader's count of days as milliseconds UTC."""
    return round((number - _EPOCH) * _DAY_MS)


def _show(data: Any, bar: list[float]) -> None:
    lines = data.lines
    lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = bar


def _period(timeframe: int, compression: int, step_ms: int) -> Period:
    """Gives the first moment of the period that holds a time, and the first one after it (ms UTC)."""
    if timeframe in _CALENDAR:
        return _months(_CALENDAR[timeframe] * compression)
    length = _UNIT_MS.get(timeframe, 0) * compression
    if not length or not step_ms or length % step_ms:
        wanted, given = _words(length), _words(step_ms)
        raise InvalidSetting(f"bars of {given} cannot be joined to bars of {wanted}; choose a multiple of {given}")
    offset = 4 * _DAY_MS if length % (7 * _DAY_MS) == 0 else 0

    def period(at: int) -> tuple[int, int]:
        begin = at - (at - offset) % length
        return begin, begin + length

    return period


def _months(count: int) -> Period:
    def period(at: int) -> tuple[int, int]:
        moment = datetime.fromtimestamp(at / 1000, UTC)
        first = (moment.year * 12 + moment.month - 1) // count * count
        return _first_of(first), _first_of(first + count)

    return period


def _first_of(month: int) -> int:
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1000


def _words(length_ms: int) -> str:
    for size, letter in ((_DAY_MS, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")):
        if length_ms and length_ms % size == 0:
            return f"{length_ms // size}{letter}"
    return "no fixed length"
