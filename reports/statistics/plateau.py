"""Plateau scores: choose the point of a sweep whose neighbours do well too, not the highest peak.

The score of a point is its own Sharpe ratio, or the lower median of those in its neighbourhood where that is less: a peak is cut down to
what surrounds it, and a pit stays one. On a grid the neighbourhood is every point that is at most one step away along each ordered key; in
a search it is the `2 d + 1` nearest points, `d` keys being ordered, and whatever is as near as the last of them; the point itself
belongs to it. Values without an order (names, switches, lists) are neighbours of themselves alone. A point that never traded scores zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def plateau_scores(columns: Mapping[str, Sequence[Any]], sharpes: Sequence[float], *, grid: bool) -> Floats:
    """The score of each point, [N].

    Args:
        columns: per key, the value of each point; numbers are ordered, everything else is not.
        sharpes: of each point, annual; NaN for an account that never moved.
        grid: whether the points are all combinations of listed values.
    """
    own = np.nan_to_num(np.asarray(sharpes, dtype=np.float64), nan=0.0)
    ordered = {key: np.asarray(values, dtype=np.float64) for key, values in columns.items() if is_ordered(values)}
    groups = [tuple(str(values[n]) for key, values in columns.items() if key not in ordered) for n in range(len(own))]
    same = np.array([[a == b for b in groups] for a in groups]).reshape(len(own), len(own))
    near = _on_grid(ordered, same) if grid else _nearest(ordered, same)
    return np.minimum(own, [np.quantile(own[row], 0.5, method="lower") for row in near])


def choose(scores: Floats, sharpes: Sequence[float]) -> int:
    """The point with the best score; among equals the better Sharpe ratio, then the earlier point."""
    own = np.nan_to_num(np.asarray(sharpes, dtype=np.float64), nan=0.0)
    return int(np.lexsort((np.arange(len(own)), -own, -scores))[0])


def is_ordered(values: Sequence[Any]) -> bool:
    """Whether all values are numbers."""
    return all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in values)


def _on_grid(ordered: Mapping[str, Floats], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    near = same.copy()
    for values in ordered.values():
        rank = np.searchsorted(np.unique(values), values)
        near &= np.abs(rank[:, None] - rank[None, :]) <= 1
    return near


def _nearest(ordered: Mapping[str, Floats], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    distance = np.where(same, 0.0, math.inf)
    for values in ordered.values():
        # Ranks, so that a range searched on a log scale is as wide as any other.
        rank = np.searchsorted(np.unique(values), values) / max(len(np.unique(values)) - 1, 1)
        distance = np.maximum(distance, np.abs(rank[:, None] - rank[None, :]))
    count = 2 * len(ordered) + 1
    farthest = np.sort(distance, axis=1)[:, min(count, distance.shape[1]) - 1]
    return np.asarray(np.isfinite(distance) & (distance <= farthest[:, None] * (1.0 + 1e-9)))
