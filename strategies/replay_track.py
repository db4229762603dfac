"""Inputs of the fast replay: candles and forecasts of one symbol, and what follows from them whatever the locations are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import MarketRules, Spans, Timeframe
from forwardtrader.strategies.decision import DecisionParams, PositionState
from forwardtrader.strategies.feed_context import FeedContext
from forwardtrader.strategies.replay_account import ReplayBar
from forwardtrader.strategies.sizing import exposure_cap

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Tape:
    """One symbol to replay.

    `bars` holds open, high, low, close, volume by UTC bar-open time, `forecasts` the columns `location` and `scale` on the same index, over
    `horizon` bars; NaN where no model is in force. `members` as in `FeedContext`.
    """

    bars: pd.DataFrame
    forecasts: pd.DataFrame
    market: MarketRules
    timeframe: Timeframe
    horizon: int
    members: Spans | None = None


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
    scale: Floats
    member: Flags
    steady: Floats
    variance: Floats
    cap: Floats

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
        track = cls(
            params, times, place, here, traded, opened, high, low, close, scale, member, *(np.full(len(index), np.nan) for _ in range(3))
        )
        track.remember(0, 0.0)
        return track

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

    def bar(self, row: int) -> ReplayBar:
        """The bar at `row`."""
        return ReplayBar(float(self.open[row]), float(self.high[row]), float(self.low[row]), float(self.close[row]), bool(self.traded[row]))
