"""Inputs of the fast replay: candles and forecasts of one symbol, and what follows from them whatever the locations are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import MarketRules, Spans, Timeframe
from forwardtrader.strategies.decision import DecisionParams, PositionState
from forwardtrader.strategies.detail.series import DetailSeries, InnerBar
from forwardtrader.strategies.feed_context import FeedContext
from forwardtrader.strategies.margin.series import AssumedFacts, MarkBar, PerpetualSeries
from forwardtrader.strategies.replay_account import ReplayBar
from forwardtrader.strategies.sizing import exposure_cap

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_KEPT: Final = 100_000  # bars of a symbol, some 20 MB


@dataclass(frozen=True, kw_only=True)
class Tape:
    """One symbol to replay.

    `bars` holds open, high, low, close, volume by UTC bar-open time, `forecasts` the columns `location` and `scale` on the same index, over
    `horizon` bars; NaN where no model is in force. `members`, `facts` and `detail` as in `FeedContext`.
    """

    bars: pd.DataFrame
    forecasts: pd.DataFrame
    market: MarketRules
    timeframe: Timeframe
    horizon: int
    members: Spans | None = None
    facts: PerpetualSeries | None = None
    detail: DetailSeries | None = None


@dataclass(frozen=True)
class MarkTrack:
    """A perpetual's marks on the common timeline [T], on rows of other symbols' bars those of the last close, and its settlements [F]: the
    row of the bar that contains each, and its rate."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    rows: NDArray[np.int64]
    rates: Floats

    @classmethod
    def of(cls, tape: Tape, index: pd.DatetimeIndex, place: NDArray[np.int64]) -> MarkTrack:
        opened = pd.DatetimeIndex(tape.bars.index).as_unit("ms").asi8 / 1000.0
        last = tape.bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
        facts = tape.facts or AssumedFacts(tape.market.funding_hours).over(opened, tape.timeframe.seconds)
        known = facts.table(opened)
        lacks = np.isnan(known).any(axis=1, keepdims=True)
        marks = np.where(lacks, last, known)
        laid = np.full((len(index), 4), np.nan)
        laid[place] = marks
        close = pd.Series(laid[:, 3]).ffill().to_numpy()
        for column in range(4):
            laid[:, column] = np.where(np.isnan(laid[:, column]), close, laid[:, column])
        rows, rates = _settled(facts, opened, tape.timeframe.seconds, place)
        return cls(laid[:, 0], laid[:, 1], laid[:, 2], laid[:, 3], rows, rates)

    def rates_at(self, row: int) -> tuple[float, ...]:
        first, last = np.searchsorted(self.rows, (row, row + 1))
        return tuple(float(rate) for rate in self.rates[first:last])


def _settled(facts: PerpetualSeries, opened: Floats, length: float, place: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """The row of each settlement: the first of the symbol's bars that ends after it, from the first bar on."""
    if not len(opened):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    bar = np.searchsorted(opened + length, facts.settled, side="right")
    taken = (facts.settled >= opened[0]) & (bar < len(opened))
    return place[bar[taken]], facts.rates[taken]


@dataclass(frozen=True)
class Track:
    """One symbol's bars on the common timeline [T], and the state of its position manager that does not depend on the forecast locations.

    `times` are UTC epoch seconds, `place` holds the row of each of its bars, `here` whether a row is one; prices of other rows are those of
    the bar before. `member` says whether the symbol belongs to the universe at the
    bar's close; `steady` is the remembered scale, `variance` the state after the bar, and `cap` the largest exposure.
    """

    params: DecisionParams
    times: Floats
    place: NDArray[np.int64]
    here: Flags
    traded: Flags
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    scale: Floats
    member: Flags
    steady: Floats
    variance: Floats
    cap: Floats
    marks: MarkTrack | None = None
    detail: DetailSeries | None = None
    made: dict[int, ReplayBar] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, tape: Tape, index: pd.DatetimeIndex, params: DecisionParams) -> Track:
        place = index.get_indexer(tape.bars.index)
        here = np.zeros(len(index), dtype=bool)
        here[place] = True
        frame = tape.bars.reindex(index).ffill()
        opened, high, low, close, volume = (frame[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume"))
        scale = tape.forecasts["scale"].reindex(index).to_numpy(dtype=np.float64)
        traded = here & ((volume != 0) | (high != low))
        times = index.as_unit("ms").asi8 / 1000.0
        context = FeedContext(tape.market, tape.timeframe, members=tape.members)
        member = np.array([context.may_hold(at) for at in times]) if tape.members is not None else here
        marks = MarkTrack.of(tape, index, place) if tape.market.is_perpetual else None
        steady, variance, cap = (np.full(len(index), np.nan) for _ in range(3))
        track = cls(
            params, times, place, here, traded, opened, high, low, close, volume, scale, member, steady, variance, cap, marks, tape.detail
        )
        track.remember(0, 0.0)
        return track

    def __getstate__(self) -> dict[str, object]:
        """Without the bars made so far, which whoever is sent it makes anew."""
        return {**self.__dict__, "made": {}}

    def remember(self, first: int, variance: float) -> None:
        """Compute scale, cap and variance from row `first` on, given the variance before it."""
        state, last = PositionState(variance=variance), variance
        for row in range(first, len(self.here)):
            if self.here[row]:
                self.steady[row] = state.steady_scale(self.scale[row], self.params)
                self.cap[row] = exposure_cap(self.steady[row], self.params.size)
                last = state.variance
            self.variance[row] = last

    def fork(self, first: int, variance: float) -> Track:
        """The same bars with another memory from row `first` on."""
        own = {name: getattr(self, name).copy() for name in ("steady", "variance", "cap")}
        track = Track(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **own})
        track.remember(first, variance)
        return track

    def spread(self, values: Floats) -> Floats:
        """Values of the symbol's own bars laid on the timeline; NaN where it is no member of the universe."""
        laid = np.full(len(self.here), np.nan)
        laid[self.place] = np.where(self.member[self.place], values, np.nan)
        return laid

    @property
    def end(self) -> int:
        """The row after its last bar."""
        return int(self.place[-1]) + 1 if len(self.place) else len(self.here)

    def inside(self, row: int) -> list[InnerBar]:
        """The finer bars inside the one at `row`."""
        return [] if self.detail is None else self.detail.inside(float(self.times[row]))

    def bar(self, row: int) -> ReplayBar:
        """The bar at `row`; the first ones asked for are kept, since every run asks for much the same."""
        bar = self.made.get(row)
        if bar is None:
            bar = self._made(row)
            if len(self.made) < _KEPT:
                self.made[row] = bar
        return bar

    def _made(self, row: int) -> ReplayBar:
        prices = float(self.open[row]), float(self.high[row]), float(self.low[row]), float(self.close[row])
        marks = self.marks
        if marks is None:
            return ReplayBar(*prices, bool(self.traded[row]), float(self.volume[row]))
        bar = MarkBar(float(marks.open[row]), float(marks.high[row]), float(marks.low[row]), float(marks.close[row]))
        return ReplayBar(*prices, bool(self.traded[row]), float(self.volume[row]), bar, marks.rates_at(row))
