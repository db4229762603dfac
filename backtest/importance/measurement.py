"""What features and groups of features add, as the section of `run.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.importance.permutation import Columns, Gains, Progress, permutation_gains
from forwardtrader.backtest.importance.refit import Refit
from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import group_of
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.reports.sections.importance import Contribution, ImportanceSection
from forwardtrader.reports.statistics.forecast_scores import block_of
from forwardtrader.reports.statistics.selection.simultaneous import SimultaneousMean, simultaneous_means

DRAWS: Final = 3
LEAST_BARS: Final = 250


def groups_of(names: Sequence[str]) -> dict[str, Columns]:
    """The columns of each group of these features, in the order in which the groups first appear."""
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        found.setdefault(group_of(name), []).append(column)
    return {group: tuple(columns) for group, columns in found.items()}


def importance_of(
    walk: WalkForward, first: datetime, last: datetime, timeframe: Timeframe, *, refit: bool, progress: Progress, draws: int = DRAWS
) -> ImportanceSection:
    """What each feature and each group adds to the forecasts from `first` on.

    Args:
        refit: whether every model is trained anew without each group besides.

    Raises:
        TooLittleHistory: fewer than 250 forecasts have a known outcome, or no model was trained.
        TradingError: a model cannot be read, or the forecaster failed.
    """
    if walk.untrained is not None:
        raise walk.untrained
    names, seed, horizon = walk.panel.names, walk.settings.seed, walk.settings.horizons[0]
    alone, groups = {name: (column,) for column, name in enumerate(names)}, groups_of(names)
    sets = list(dict.fromkeys([*alone.values(), *groups.values()]))
    gains = permutation_gains(walk, pd.Timestamp(first), sets, draws=draws, seed=seed, progress=progress)
    if len(gains.loss) < LEAST_BARS:
        raise TooLittleHistory(f"{len(gains.loss)} forecasts with a known outcome, fewer than the {LEAST_BARS} needed")
    tables = [_contributions(gains, sets, wanted, names, horizon, seed) for wanted in (alone, groups)]
    section = ImportanceSection(horizon=horizon, bars=len(gains.loss), draws=draws, seed=seed, features=tables[0], groups=tables[1])
    if not refit:
        return section
    without = Refit(walk, first, last, timeframe).without_each(groups, progress)
    return section.model_copy(update={"refit": _ranked(without.contributions), "left_out": without.left_out})


def _contributions(
    gains: Gains, sets: Sequence[Columns], wanted: Mapping[str, Columns], names: Sequence[str], horizon: int, seed: int
) -> list[Contribution]:
    places, block = [sets.index(columns) for columns in wanted.values()], block_of(len(gains.loss), horizon)
    loss = simultaneous_means(gains.loss[:, places] / gains.intact, block=block, seed=seed)
    rank_ic = simultaneous_means(gains.rank_ic[:, places], block=block, seed=seed)
    rows = [_contribution(name, columns, names, *each) for (name, columns), *each in zip(wanted.items(), loss, rank_ic, strict=True)]
    return _ranked(rows)


def _contribution(name: str, columns: Columns, names: Sequence[str], loss: SimultaneousMean, rank_ic: SimultaneousMean) -> Contribution:
    return Contribution(
        name=short_name(name), features=[short_name(names[column]) for column in columns], loss=loss.mean, loss_ci=(loss.low, loss.high),
        p=loss.p, rank_ic=rank_ic.mean, rank_ic_ci=(rank_ic.low, rank_ic.high),
    )  # fmt: skip


def _ranked(rows: Sequence[Contribution]) -> list[Contribution]:
    """What adds the most first."""
    return sorted(rows, key=lambda row: row.loss if row.loss is not None else -np.inf, reverse=True)
