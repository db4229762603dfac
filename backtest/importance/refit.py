"""Leave one group out: the walk-forward trained anew without a group of features, against the one with all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.importance.permutation import Columns, Progress
from forwardtrader.backtest.importance.scored_bars import Floats, ScoredBars, standardised_ranks
from forwardtrader.core.errors import ForecasterFailed, TooLittleHistory, TrainingDiverged
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.folds.walk import WalkForward, walk_forward_over
from forwardtrader.reports.sections.importance import Contribution
from forwardtrader.reports.statistics.significance import mean_test

CONFIDENCE: Final = 0.95
# Models work in single precision: losses that differ by less, as a share of their mean, are equal ones.
ROUNDING: Final = 1e-5


@dataclass(frozen=True)
class WithoutEach:
    """What each group that could be left out adds, and why others could not."""

    contributions: list[Contribution]
    left_out: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Tested:
    mean: float
    ends: tuple[float, float]
    p: float
    statistic: float


@dataclass(frozen=True)
class Refit:
    """Trains a walk-forward anew on part of its features, by the calendar alone: an early retraining would differ between the two."""

    walk: WalkForward
    first: datetime
    last: datetime
    timeframe: Timeframe

    def without_each(self, groups: Mapping[str, Columns], progress: Progress) -> WithoutEach:
        """Every model once more for each group; those trained before with the same features come from the registry."""
        losses: dict[str, pd.DataFrame] = {}
        left_out: dict[str, str] = {}
        for number, (group, columns) in enumerate(groups.items()):
            try:
                losses[group] = self._losses(self._without(columns))
            except (ForecasterFailed, TrainingDiverged, TooLittleHistory) as failure:
                left_out[group] = str(failure)
            progress(number + 1, len(groups))
        rows = [self._contribution(group, groups[group], each, len(losses)) for group, each in losses.items()]
        return WithoutEach(rows, left_out)

    @cached_property
    def whole(self) -> pd.DataFrame:
        """Loss and products of ranks with all features."""
        return self._losses(self._trained(tuple(range(len(self.walk.panel.names)))))

    def _without(self, columns: Columns) -> WalkForward:
        kept = tuple(column for column in range(len(self.walk.panel.names)) if column not in columns)
        if not kept:
            raise TooLittleHistory("no other feature would be left")
        return self._trained(kept)

    def _trained(self, columns: Columns) -> WalkForward:
        panel = self.walk.panel
        part = replace(panel, names=tuple(panel.names[c] for c in columns), features=np.ascontiguousarray(panel.features[:, columns]))
        return walk_forward_over(part, self.first, self.last, settings=self.walk.settings, timeframe=self.timeframe)

    def _contribution(self, group: str, columns: Columns, without: pd.DataFrame, count: int) -> Contribution:
        """Diebold and Mariano's test on the bars that both forecast; interval and p-value are Bonferroni's for so many groups."""
        both = self.whole.join(without.add_suffix("_without"), how="inner")
        lost = both["loss_without"].to_numpy() - both["loss"].to_numpy()
        lost = np.where(np.abs(lost) <= ROUNDING * both["loss"].mean(), 0.0, lost)
        fell = pd.concat([_rank_gains(each) for _, each in both.groupby(level="symbol", sort=False)])
        together = both.assign(lost=lost, fell=fell)[["lost", "fell", "loss"]].groupby(level="time", sort=True).mean()
        loss, rank_ic = (self._tested(together[name].to_numpy(dtype=np.float64), count) for name in ("lost", "fell"))
        intact, (low, high) = float(together["loss"].mean()), loss.ends
        return Contribution(
            name=group, features=[short_name(self.walk.panel.names[column]) for column in columns], loss=loss.mean / intact,
            loss_ci=(low / intact, high / intact), p=loss.p, rank_ic=rank_ic.mean, rank_ic_ci=rank_ic.ends, statistic=loss.statistic,
        )  # fmt: skip

    def _tested(self, gains: Floats, count: int) -> _Tested:
        if not gains.any():
            return _Tested(mean=0.0, ends=(0.0, 0.0), p=1.0, statistic=0.0)
        found = mean_test(gains, horizon=self.walk.settings.horizons[0])
        ends = found.interval(1.0 - (1.0 - CONFIDENCE) / count)
        return _Tested(mean=found.mean, ends=ends, p=min(1.0, count * found.p), statistic=found.statistic)

    def _losses(self, walk: WalkForward) -> pd.DataFrame:
        """One row a symbol and time: loss, forecast and outcome."""
        found = []
        for served in walk.served:
            for symbol in served.fold:
                bars = ScoredBars.of(walk, served, symbol, pd.Timestamp(self.first))
                index = pd.MultiIndex.from_arrays([[symbol] * len(bars), bars.times], names=["symbol", "time"])
                columns = {"loss": bars.losses(bars.forecast), "location": bars.forecast[:, 0] * bars.usual, "outcome": bars.outcome}
                found.append(pd.DataFrame(columns, index=index))
        return pd.concat(found)


def _rank_gains(both: pd.DataFrame) -> pd.Series:
    """Of one symbol: by how much the rank correlation falls at each bar."""
    outcome, ours, others = (standardised_ranks(both[name].to_numpy()) for name in ("outcome", "location", "location_without"))
    return pd.Series(outcome * (ours - others), index=both.index)
