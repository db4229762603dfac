"""The section `optimisation` of `run.json`: parameters that were chosen anew at each boundary, and how the choice did."""

from __future__ import annotations

from typing import Any

from forwardtrader.reports.sections.section import Moment, Number, Section


class ChosenPoint(Section):
    """What an optimisation chose at a boundary, in force from the bar that opens at `since`.

    `flags` are the point's parameters as command-line arguments; `score` is the one it was chosen by, among its neighbours, `in_sample` its
    own in the window before. `out_of_sample` is that of the point's account up to the next boundary, `account` that of the run's.
    `rank_correlation` is that of the scores of all points before and after the boundary.
    """

    boundary: Moment
    since: Moment
    settings: dict[str, Any]
    flags: str
    changed: bool = False
    score: Number = None
    in_sample: Number = None
    out_of_sample: Number = None
    account: Number = None
    rank_correlation: Number = None


class PathSharpes(Section):
    """Annual Sharpe ratios of the best point of every training set on combinatorial purged paths, in rising order.

    Each path covers all of the time, cut into `folds`; a fold is traded by what was best without it, `test_folds - 1` others and `purge`
    days beside them. `below_zero` is the share of paths that lost.
    """

    sharpes: list[float]
    folds: int
    test_folds: int
    purge: int
    low: Number = None
    median: Number = None
    high: Number = None
    below_zero: Number = None


class ParameterSpread(Section):
    """How far the chosen values of one parameter lie apart; `most` is the one chosen most often, at the share `share` of the boundaries.

    `low`, `median` and `high` are there for numbers.
    """

    values: int
    most: str
    share: Number
    low: Number = None
    median: Number = None
    high: Number = None


class OptimisationSection(Section):
    """Parameters that were chosen anew at each boundary: among what, by which score and on how much of the past, and how it went.

    `trials` counts every look at a point. `in_sample`, `out_of_sample` and `rank_correlation` are means over the boundaries,
    `rank_correlation_p` one-sided against a mean that is not above zero.
    """

    window: str
    every: str
    score: str
    rule: str
    keys: list[str]
    points: int
    trials: int
    changes: int
    choices: list[ChosenPoint]
    spread: dict[str, ParameterSpread] = {}
    in_sample: Number = None
    out_of_sample: Number = None
    rank_correlation: Number = None
    rank_correlation_p: Number = None
    paths: PathSharpes | None = None
    left_out: dict[str, str] = {}
