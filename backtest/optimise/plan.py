"""The file of `--optimise`: the points of a sweep, and how they are chosen among.

window: 365d             # the past that a choice is made on (default: models.train_window)
every: 91d               # from one boundary to the next (default: models.retrain_every)
score: sharpe            # or sortino, or return; after costs
strategy.fast: [10, 20, 50]
strategies.max_exposure: [0.5, 1]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forwardtrader.backtest.sweep.file import WALK_KEYS, Point, SweepPlan, parameter, plan_of, read_tree
from forwardtrader.backtest.sweep.search import drawn
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import parse_span
from forwardtrader.reports.statistics import metrics

# An account's annual score over daily net returns, of so many days a year.
Score = Callable[[pd.Series, int], float]
SCORES: Final[Mapping[str, Score]] = {
    "sharpe": metrics.sharpe,
    "sortino": metrics.sortino,
    "return": lambda returns, _: metrics.total_return(returns),
}
MOST_POINTS: Final = 1_000
DAY: Final = timedelta(days=1)
LEAST_WINDOW: Final = timedelta(days=20)
# What an account and its venue are like is no choice of a strategy's, and forecasts of another horizon are other forecasts.
FIXED: Final = ("cash", "fee_bps", "slippage_bps", "horizon")


@dataclass(frozen=True, kw_only=True)
class OptimisationPlan:
    """What is chosen among, on how much of the past, how often, and by which score."""

    file: Path
    points: SweepPlan
    window: timedelta
    every: timedelta
    score: str

    def candidates(self) -> list[Point]:
        """The points, the same at every boundary: those of a search are drawn before any result is known."""
        return drawn(self.points) if self.points.trials else self.points.grid()


def read_optimisation(path: Path, settings: Settings, strategy: str = "") -> OptimisationPlan:
    """Read and check a file of `--optimise`.

    Raises:
        ConfigError: as `read_plan`, or a key that cannot change while an account runs, a span of part of a day, an unknown score.
    """
    tree = read_tree(path, "--optimise")
    for key in map(str, tree):
        room, _, name = key.partition(".")
        if (not parameter(key) and room in ("feeds", "models", "learning", "risk")) or (room == "strategies" and name in FIXED):
            raise InvalidSetting(f"{path}: {key} cannot be chosen anew while an account runs; give it by --set, or try it in a --sweep")
    window = _span(path, tree, "window", settings.models.train_window, LEAST_WINDOW)
    every = _span(path, tree, "every", settings.models.retrain_every, DAY)
    score = str(tree.get("score", "sharpe"))
    if score not in SCORES:
        raise InvalidSetting(f"{path}: there is no score {score!r}{nearest(score, SCORES)}; use {', '.join(SCORES)}")
    points = plan_of(path, {key: value for key, value in tree.items() if key not in WALK_KEYS}, settings, strategy)
    count = points.trials or math.prod(len(axis.choices) for axis in points.axes)
    if count > MOST_POINTS:
        raise InvalidSetting(f"{path} asks for {count:,} points, and {MOST_POINTS:,} can be chosen among; list fewer values")
    return OptimisationPlan(file=path, points=points, window=window, every=every, score=score)


def _span(path: Path, tree: Mapping[Any, Any], key: str, default: timedelta, least: timedelta) -> timedelta:
    given = tree.get(key)
    try:
        span = default if given is None else parse_span(str(given))
    except InvalidSetting as error:
        raise InvalidSetting(f"{path}: {key}: {error}") from error
    if span < least or span % DAY:
        raise InvalidSetting(f"{path}: {key} must be whole days, {least.days} at least, not {given or span}; write for example {key}: 91d")
    return span
