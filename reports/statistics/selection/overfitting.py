"""Probability of backtest overfitting of a sweep: combinatorially symmetric cross-validation (Bailey et al. 2017)."""

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
