"""Shifted-forecast test: results of the same strategy on the same forecasts moved to other times.

A strategy that sizes by volatility, rests stops and rides a drift earns something whatever its forecasts are. Forecasts shifted circularly
in time keep their distribution, their memory and their number of trades, and lose only their connection with the bars they were made for
(a permutation test by cyclic shifts; Politis and Romano 1992 resample in the same circle). What exceeds the shifted runs is the forecast's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Shifts of a few days are too near: forecasts and volatility remember that long.
NEAREST: Final = 500
# Fewer could not show p below 0.05.
FEWEST: Final = 20
_EQUAL: Final = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShiftedForecasts:
    """Annual net Sharpe ratios of the strategy on its forecasts (`own`) and of the runs on shifted ones, and what those earned in all.

    `equity` and `fills` are those of the run with the median Sharpe ratio, as in `reports.artefacts`. `planned` is how many shifts there
    were to be: once the answer is known to be no, the rest may be left out.
    """

    own: float
    sharpes: Floats
    total_returns: Floats
    equity: pd.DataFrame
    fills: pd.DataFrame
    planned: int

    @property
    def samples(self) -> int:
        return len(self.sharpes)

    @property
    def ended_early(self) -> bool:
        """Whether runs were left out; those that were made are no sample of all of them then."""
        return self.samples < self.planned

    @property
    def p(self) -> float:
        """Share of shifts that did at least as well, the true one counted among them (Davison and Hinkley 1997, 4.11).

        Where the runs ended early it only shows that it would not have been below 0.05.
        """
        return float((1.0 + np.count_nonzero(does_as_well(self.sharpes, self.own))) / (self.samples + 1.0))

    @property
    def mean_sharpe(self) -> float:
        return math.nan if self.ended_early else float(self.sharpes.mean())

    @property
    def mean_return(self) -> float:
        return math.nan if self.ended_early else float(self.total_returns.mean())


def does_as_well(sharpes: Floats, own: float) -> NDArray[np.bool_]:
    """Which runs did at least as well as the strategy on its own forecasts; what differs by rounding alone does."""
    return sharpes >= own - _EQUAL * abs(own)


def distances(bars: int, count: int, seed: int) -> list[int]:
    """How far to shift, in bars, `count` different distances; empty where so few bars cannot be shifted often enough."""
    nearest = min(NEAREST, bars // 4)
    choices = bars - 2 * nearest + 1
    if choices < FEWEST:
        return []
    drawn = np.random.default_rng([seed, bars]).choice(choices, size=min(count, choices), replace=False)
    return [int(distance) + nearest for distance in drawn]


def circle_of(frames: Iterable[pd.DataFrame]) -> pd.DatetimeIndex:
    """Every bar at which a symbol has a forecast: the circle in which those of all symbols are shifted together."""
    known = [pd.DatetimeIndex(frame.index[_known(frame)]) for frame in frames]
    return pd.DatetimeIndex(np.unique(np.concatenate([index.as_unit("ns").asi8 for index in known])), tz="UTC")


def shifted(frame: pd.DataFrame, distance: int, circle: pd.DatetimeIndex | None = None) -> pd.DataFrame:
    """The forecasts of one symbol, each replaced by the one `distance` bars before, in units of its own scale.

    The scale stays where it is: it sizes positions and rests stops, and volatility is no opinion. `location / scale` and, where they are
    there, `p_up` move; quantiles keep their distance from the location. Rows without a forecast stay so.

    Args:
        circle: the bars that are counted; those with a forecast where not given. A bar whose forecast would come from where the symbol had
            none takes that of `distance` of its own forecasts before.
    """
    if not distance:
        return frame
    moved = frame.copy()
    known = _known(frame)
    own, scale = frame.loc[known, "location"].to_numpy(dtype=np.float64), frame.loc[known, "scale"].to_numpy(dtype=np.float64)
    source = _sources(pd.DatetimeIndex(frame.index[known]), distance, circle)
    location = (own / scale)[source] * scale
    moved.loc[known, "location"] = location
    for name in ("q05", "q25", "q50", "q75", "q95"):
        if name in frame:
            moved.loc[known, name] = frame.loc[known, name].to_numpy(dtype=np.float64) - own + location
    if "p_up" in frame:
        moved.loc[known, "p_up"] = frame.loc[known, "p_up"].to_numpy(dtype=np.float64)[source]
    return moved


def _known(frame: pd.DataFrame) -> NDArray[np.bool_]:
    return np.asarray((frame["location"].notna() & (frame["scale"] > 0.0)).to_numpy())


def _sources(index: pd.DatetimeIndex, distance: int, circle: pd.DatetimeIndex | None) -> NDArray[np.int64]:
    """Which of the forecasts each one is replaced by [N]."""
    own = np.roll(np.arange(len(index)), distance)
    if circle is None:
        return own
    place = circle.searchsorted(index)
    number = np.full(len(circle), -1)
    number[place] = np.arange(len(index))
    found = number[(place - distance) % len(circle)]
    return np.where(found < 0, own, found)
