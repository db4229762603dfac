"""Forecasts across symbols: whether, of all symbols at a bar, those that are forecast to do better do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.reports.statistics.significance import MeanTest, mean_test

LEAST_SYMBOLS: Final = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrossSectionalSkill:
    """The rank IC across symbols, averaged over bars.

    Attributes:
        rank_ic: mean over bars of the Spearman correlation of forecasts and outcomes over the symbols of the bar.
        icir: that mean in standard deviations of one bar's.
        test: of the mean, robust to outcomes that overlap.
        bars: that at least three symbols have a forecast and an outcome of.
        symbols: the most that any bar has.
    """

    rank_ic: float
    icir: float
    test: MeanTest
    bars: int
    symbols: int


def cross_sectional_skill(frames: Mapping[str, pd.DataFrame], *, horizon: int = 1) -> CrossSectionalSkill:
    """Of forecast frames by symbol, with columns `location` and `realised` and one row a bar; moves are compared as they are.

    NaN where no bar has three symbols.
    """
    location = pd.concat({symbol: frame["location"].astype(float) for symbol, frame in frames.items()}, axis=1).sort_index()
    realised = pd.concat({symbol: frame["realised"].astype(float) for symbol, frame in frames.items()}, axis=1).reindex(location.index)
    known = (location.notna() & realised.notna()).to_numpy()
    enough = known.sum(axis=1) >= LEAST_SYMBOLS
    series = np.full(len(location), math.nan)
    series[enough] = _row_correlations(*(_ranked(table, known)[enough] for table in (location, realised)))
    test = mean_test(series, horizon=horizon)
    told = series[np.isfinite(series)]
    spread = float(told.std()) if len(told) else 0.0
    rank_ic = float(told.mean()) if len(told) else math.nan
    return CrossSectionalSkill(
        rank_ic=rank_ic,
        icir=rank_ic / spread if spread > 0 else math.nan,
        test=test,
        bars=len(told),
        symbols=int(known.sum(axis=1).max(initial=0)),
    )


def _ranked(table: pd.DataFrame, known: NDArray[np.bool_]) -> Floats:
    """Ranks in each row less their mean, equal values sharing theirs; zero where a symbol is not known."""
    ranks = table.where(known).rank(axis=1)
    return np.asarray(ranks.sub(ranks.mean(axis=1), axis=0).fillna(0.0), dtype=np.float64)


def _row_correlations(first: Floats, second: Floats) -> Floats:
    """NaN where all of a row are equal."""
    size = np.sqrt((first * first).sum(axis=1) * (second * second).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(size > 0, (first * second).sum(axis=1) / size, math.nan))
