"""How an optimisation went: what was chosen when, how it looked before and after, and how much the choice moved about."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.backtest.optimise.choice import Choice, Floats, span_scores
from forwardtrader.backtest.optimise.plan import SCORES, OptimisationPlan
from forwardtrader.backtest.sweep.file import Point
from forwardtrader.backtest.sweep.search import flags, paths_of
from forwardtrader.reports.sections.optimisation import ChosenPoint, OptimisationSection, ParameterSpread
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.plateau import is_ordered
from forwardtrader.reports.statistics.significance import mean_test

RULE: Final = (
    "At each boundary the point with the best score is chosen, from net daily returns of the window before it alone; the score of a point "
    "is its own, or the lower median of those in its neighbourhood where that is less. It comes into force as long after the boundary as a "
    "model does. Our strategy takes other settings over with its position. A strategy of yours leaves: its orders are cancelled, its "
    "positions closed at the next bar, and the next one begins when it is gone. Where the same point is chosen again, nothing happens."
)


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Choices, and the accounts of all points: net daily returns by UTC day [T, N]. `since` is when each choice came into force."""

    plan: OptimisationPlan
    points: Sequence[Point]
    daily: pd.DataFrame
    chosen: Sequence[Choice]
    since: Sequence[datetime]
    left_out: Mapping[str, str]
    days_per_year: int
    first: datetime
    last: datetime
    cash: float

    def section(self, equity: pd.DataFrame) -> OptimisationSection:
        """The part of `run.json`, given the account of the run that traded the choices."""
        rows = self._rows(metrics.returns_of(metrics.daily(equity["equity"]), self.cash).fillna(0.0))
        ranks = np.array([np.nan if row.rank_correlation is None else row.rank_correlation for row in rows], dtype=np.float64)
        return OptimisationSection(
            window=f"{self.plan.window.days}d", every=f"{self.plan.every.days}d", score=self.plan.score, rule=RULE,
            keys=list(self.plan.points.keys), points=len(self.points), trials=len(self.points) * len(self.chosen),
            changes=sum(row.changed for row in rows), choices=rows,
            spread={key: spread([self.points[c.number][key] for c in self.chosen]) for key in self.plan.points.keys},
            in_sample=_mean([row.in_sample for row in rows if row.account is not None]), out_of_sample=_mean([row.account for row in rows]),
            rank_correlation=_mean(ranks.tolist()), rank_correlation_p=mean_test(ranks).p_above, left_out=dict(self.left_out),
            paths=paths_of(self.daily.loc[self.daily.index >= pd.Timestamp(self.first).floor("D")], self.days_per_year),
        )  # fmt: skip

    def _rows(self, account: pd.Series) -> list[ChosenPoint]:
        ends = [*(choice.boundary for choice in self.chosen[1:]), self.last]
        rows = []
        for n, (choice, end) in enumerate(zip(self.chosen, ends, strict=True)):
            begin, score = max(choice.boundary, self.first), SCORES[self.plan.score]
            after = span_scores(self.daily, begin, end, score, self.days_per_year)
            point = self.points[choice.number]
            rows.append(
                ChosenPoint(
                    boundary=choice.boundary,
                    since=self.since[n],
                    settings=json.loads(json.dumps(dict(point), default=str)),
                    flags=flags(point),
                    changed=n > 0 and choice.number != self.chosen[n - 1].number,
                    score=choice.plateau,
                    in_sample=choice.scores[choice.number],
                    out_of_sample=after[choice.number],
                    account=span_scores(account.to_frame(), begin, end, score, self.days_per_year)[0],
                    rank_correlation=rank_correlation(choice.scores, after),
                )
            )
        return rows


def rank_correlation(before: Floats, after: Floats) -> float:
    """Spearman's, over the points that have both scores; NaN for fewer than three, or where one of them does not vary."""
    known = np.isfinite(before) & np.isfinite(after)
    if known.sum() < 3:
        return float("nan")
    first, second = (pd.Series(values[known]).rank() for values in (before, after))
    return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else float("nan")


def spread(values: Sequence[Any]) -> ParameterSpread:
    """How the chosen values of one parameter lie."""
    (most, count), *_ = Counter(map(str, values)).most_common(1)
    ends = {"low": min(values), "median": statistics.median(values), "high": max(values)} if is_ordered(values) else {}
    return ParameterSpread(values=len(set(map(str, values))), most=most, share=count / len(values), **ends)


def _mean(values: Sequence[float | None]) -> float | None:
    known: NDArray[np.float64] = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
    return float(known.mean()) if len(known) else None
