"""How likely the winner of a sweep is a loser out of sample: combinatorially symmetric cross-validation (Bailey et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from reports.bootstrap import Floats


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """`pbo` is the share of splits in which the in-sample best ranks in the lower half out of sample.

    `logits` [splits] are the log odds of its relative rank, `slope` the regression of out-of-sample on in-sample Sharpe ratios of the
    winners (below zero: the better it looked, the worse it did), `loss` the share of splits in which the winner lost money.
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
    strategies = inside.shape[1]
    winner = inside.argmax(axis=1)
    rows = np.arange(len(winner))
    won, came_to = inside[rows, winner], outside[rows, winner]
    # Ties count half, so that strategies that never traded do not flatter one another.
    below = (outside < came_to[:, None]).sum(axis=1) + 0.5 * ((outside == came_to[:, None]).sum(axis=1) - 1) + 1.0
    share = below / (strategies + 1.0)
    logits = np.log(share / (1.0 - share))
    spread = float(won.var())
    slope = float(((won - won.mean()) * (came_to - came_to.mean())).mean() / spread) if spread > 0 else math.nan
    return Overfitting(pbo=float((logits <= 0).mean()), logits=logits, slope=slope, loss=float((came_to < 0).mean()), blocks=blocks)
