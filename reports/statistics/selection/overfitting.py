"""Overfitting of a sweep: its probability by combinatorially symmetric cross-validation (Bailey et al. 2017), and what choosing the winner
comes to on combinatorial purged paths (López de Prado 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.reports.statistics.bootstrap import Floats

# Sharpe ratios per period that differ by less than this differ by rounding alone.
_TIE: Final = 1e-9
# So many numbers are compared at once: 8 MB in double precision.
_CELLS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """`pbo` is the share of splits in which the in-sample best ranks in the lower half out of sample.

    Points that are equally good in sample win together, each an equal part. `pbo` is never zero: where no split overfits, it is one in one
    more than there are splits. `logits` [splits] are the mean log odds of the winners' relative rank, `slope` the regression of
    out-of-sample on in-sample Sharpe ratios of the winners (below zero: the better it looked, the worse it did), `loss` the share of
    splits in which the winner lost money.
    """

    pbo: float
    logits: Floats
    slope: float
    loss: float
    blocks: int


@dataclass(frozen=True, kw_only=True)
class ChosenPaths:
    """What choosing the best point would have earned: `sharpes` per period [paths], each path over all of the time.

    A path takes each of the `folds` from a split in which it was not part of what the point was chosen on.
    """

    sharpes: Floats
    folds: int
    test_folds: int
    purge: int


def chosen_paths(returns: Floats, *, folds: int = 10, test_folds: int = 5, purge: int = 5) -> ChosenPaths:
    """Choose the point with the best Sharpe ratio on all folds but `test_folds`, have it trade those, for every choice of them.

    Args:
        returns: net returns per period [T, N] of all points.
        purge: periods beside each test fold that are not chosen on, on both sides: positions reach over the edge.

    Returns:
        No path where there are fewer than two points, or fewer than 20 periods in a fold.
    """
    periods, points = returns.shape
    none = ChosenPaths(sharpes=np.zeros(0), folds=folds, test_folds=test_folds, purge=purge)
    if points < 2 or periods // folds < 20:
        return none
    fold = np.minimum(np.arange(periods) // (periods // folds), folds - 1)
    paths = np.full((periods, math.comb(folds - 1, test_folds - 1)), np.nan)
    used = np.zeros(folds, dtype=np.int64)
    for tested in combinations(range(folds), test_folds):
        winner = int(_winner(returns[training_rows(fold, tested, purge)]))
        for number in tested:
            rows = fold == number
            paths[rows, used[number]] = returns[rows, winner]
            used[number] += 1
    spread = paths.std(axis=0)
    sharpes = np.divide(paths.mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    return ChosenPaths(sharpes=sharpes, folds=folds, test_folds=test_folds, purge=purge)


def training_rows(fold: NDArray[np.int64], tested: tuple[int, ...], purge: int) -> NDArray[np.bool_]:
    """Rows that are neither tested nor within `purge` rows of one that is."""
    test = np.isin(fold, tested)
    reach = np.convolve(test, np.ones(2 * purge + 1), mode="same") > 0.5 if purge else test
    return np.asarray(~reach)


def _winner(returns: Floats) -> np.intp:
    spread = returns.std(axis=0)
    return np.argmax(np.divide(returns.mean(axis=0), spread, out=np.zeros_like(spread), where=spread > 0))


def backtest_overfitting(returns: Floats, *, blocks: int = 16) -> Overfitting:
    """Split time into `blocks`, take every half of them as in-sample, and see what becomes of the winner in the other half.

    Args:
        returns: net returns per period [T, N] of all N points of a sweep, at least two.
        blocks: an even number; rows beyond a multiple of it are left out at the start.

    Returns:
        NaN where there are fewer than two strategies or fewer than two periods per block.
    """
    periods, strategies = returns.shape
    size = periods // blocks
    if strategies < 2 or size < 2:
        return Overfitting(pbo=math.nan, logits=np.zeros(0), slope=math.nan, loss=math.nan, blocks=blocks)
    cut = returns[periods - size * blocks :].reshape(blocks, size, strategies)
    first, second = cut.sum(axis=1), (cut**2).sum(axis=1)
    chosen = np.array([[block in split for block in range(blocks)] for split in map(set, combinations(range(blocks), blocks // 2))])
    inside = _sharpe(chosen.astype(float) @ first, chosen.astype(float) @ second, size * blocks // 2)
    outside = _sharpe((~chosen).astype(float) @ first, (~chosen).astype(float) @ second, size * blocks // 2)
    return _summed_up(inside, outside, blocks)


def _sharpe(total: Floats, squares: Floats, n: int) -> Floats:
    mean = total / n
    spread = np.sqrt(np.maximum(squares / n - mean**2, 0.0))
    return np.asarray(np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0))


def _summed_up(inside: Floats, outside: Floats, blocks: int) -> Overfitting:
    split, winner = np.nonzero(inside >= inside.max(axis=1, keepdims=True) - _TIE)
    together = max(1, _CELLS // inside.shape[1])
    share = np.concatenate([_shares(outside, split[k : k + together], winner[k : k + together]) for k in range(0, len(split), together)])
    odds = np.log(share / (1.0 - share))

    def mean(values: NDArray[Any]) -> Floats:
        """Over the winners of each split."""
        return np.bincount(split, weights=values) / np.bincount(split)

    logits, won, came_to = mean(odds), mean(inside[split, winner]), mean(outside[split, winner])
    spread = float(won.var())
    slope = float(((won - won.mean()) * (came_to - came_to.mean())).mean() / spread) if spread > 0 else math.nan
    pbo = float(mean(odds <= 0).mean()) or 1.0 / (len(inside) + 1.0)
    return Overfitting(pbo=pbo, logits=logits, slope=slope, loss=float(mean(outside[split, winner] < 0).mean()), blocks=blocks)


def _shares(outside: Floats, split: NDArray[np.intp], winner: NDArray[np.intp]) -> Floats:
    """The relative rank of each winner out of sample; average ranks, so that points that never traded do not flatter one another."""
    others, came_to = outside[split], outside[split, winner][:, None]
    fewer, most = (others < came_to - _TIE).sum(axis=1), (others <= came_to + _TIE).sum(axis=1)
    return np.asarray(0.5 * (fewer + most + 1.0) / (outside.shape[1] + 1.0))
