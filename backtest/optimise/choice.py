"""The choice of a point at a boundary, from what the accounts of all points had earned before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.backtest.optimise.plan import Score
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.reports.statistics.plateau import choose, plateau_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was chosen at a boundary: the number of the point.

    `scores` [N] are those of all points in the window before it, an account that never moved scoring zero; NaN for one that was ruined by
    then. `plateau` is the chosen point's, among its neighbours.
    """

    boundary: datetime
    number: int
    scores: Floats
    plateau: float


def choices(
    returns: pd.DataFrame, columns: Mapping[str, Sequence[Any]], boundaries: Sequence[datetime], window: timedelta, score: Score,
    days_per_year: int, *, grid: bool,
) -> list[Choice]:  # fmt: skip
    """The choice at each boundary, by the same rule as a sweep's: the best score among its neighbours'.

    Args:
        returns: net daily returns by UTC day [T, N], one column a point. Only days that ended by a boundary are looked at for it.
        columns: per key, the value of each point.
        grid: whether the points are all combinations of listed values.

    Raises:
        StrategyFailed: every account is ruined by a boundary.
    """
    return [_choice(returns, columns, at, window, score, days_per_year, grid=grid) for at in boundaries]


def span_scores(returns: pd.DataFrame, first: datetime, end: datetime, score: Score, days_per_year: int) -> Floats:
    """The score of each point over the whole days in [first, end), zero for an account that never moved [N]; NaN without a day."""
    index = pd.DatetimeIndex(returns.index)
    part = returns.loc[(index >= pd.Timestamp(first)) & (index + pd.Timedelta(days=1) <= pd.Timestamp(end))]
    if not len(part):
        return np.full(returns.shape[1], np.nan)
    return np.array([np.nan_to_num(score(part[column], days_per_year)) for column in part], dtype=np.float64)


def _choice(
    returns: pd.DataFrame, columns: Mapping[str, Sequence[Any]], at: datetime, window: timedelta, score: Score, days: int, *, grid: bool
) -> Choice:
    before = returns.loc[pd.DatetimeIndex(returns.index) + pd.Timedelta(days=1) <= pd.Timestamp(at)]
    alive = np.flatnonzero(~(before.to_numpy() <= -1.0).any(axis=0))
    if not len(alive):
        raise StrategyFailed(f"the account of every point is ruined by {at:%Y-%m-%d}, so that none can be chosen; leave out riskier values")
    scores = np.full(returns.shape[1], np.nan)
    scores[alive] = span_scores(before.iloc[:, alive], at - window, at, score, days)
    own = {key: [values[n] for n in alive.tolist()] for key, values in columns.items()}
    among = plateau_scores(own, scores[alive].tolist(), grid=grid)
    best = choose(among, scores[alive].tolist())
    return Choice(at, int(alive[best]), scores, float(among[best]))
