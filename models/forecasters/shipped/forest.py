"""Boosted trees of any size as plain arrays, evaluated by numpy: LightGBM's own sums, bit for bit, without code or text to be parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ROWS: Final = 512  # at a time, so that memory does not grow with the rows asked about


@dataclass(frozen=True)
class Forest:
    """K trees with M tests and L leaves in all. A number below zero where a test or a root leads is a leaf, ~number.

    Attributes:
        feature: int32 [M], which column each test reads.
        threshold: float64 [M]; a value that is at most this goes left.
        left, right: int32 [M], what comes next; a test stands after the one that leads to it.
        value: float64 [L], of each leaf.
        root: int32 [K], where each tree begins.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float64]
    root: NDArray[np.int32]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum over all trees for each row of finite features [n, F]: float32 [n]."""
        blocks = [self._sums(features[first : first + _ROWS]) for first in range(0, len(features), _ROWS)]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _sums(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = np.arange(len(features))[:, None]
        place = np.repeat(self.root[None, :], len(features), axis=0)
        while (inner := place >= 0).any():
            at = np.maximum(place, 0)
            passed = features[rows, self.feature[at]] <= self.threshold[at]
            place = np.where(inner, np.where(passed, self.left[at], self.right[at]), place)
        # One order of addition however many rows there are.
        return np.asarray(np.cumsum(self.value[~place], axis=1)[:, -1], dtype=np.float32)


def as_forest(described: list[dict[str, Any]]) -> Forest:
    """From what LightGBM says of its trees."""
    feature: list[int] = []
    threshold: list[float] = []
    value: list[float] = []
    ways: tuple[list[int], list[int]] = ([], [])
    roots: list[int] = []
    for tree in described:
        waiting: list[tuple[dict[str, Any], list[int], int]] = [(tree["tree_structure"], roots, len(roots))]
        roots.append(0)
        while waiting:  # a stack of its own: a tree may be deeper than Python calls
            node, told, at = waiting.pop()
            if "split_feature" not in node:
                told[at] = ~len(value)
                value.append(float(node["leaf_value"]))
                continue
            told[at] = number = len(feature)
            feature.append(int(node["split_feature"]))
            threshold.append(float(node["threshold"]))
            for way in ways:
                way.append(0)
            waiting += [(node["right_child"], ways[1], number), (node["left_child"], ways[0], number)]
    ints = (np.asarray(each, np.int32) for each in (feature, *ways, roots))
    features, left, right, root = ints
    return Forest(features, np.asarray(threshold, np.float64), left, right, np.asarray(value, np.float64), root)


def require_sound_forest(forest: Forest, features: int) -> Forest:
    """The forest. Raises ValueError where its arrays do not fit together, a test reads a column that there is not, or a walk has no end."""
    kinds = {name: np.float64 if name in ("threshold", "value") else np.int32 for name in Forest.__dataclass_fields__}
    if any(getattr(forest, name).dtype != kind or getattr(forest, name).ndim != 1 for name, kind in kinds.items()):
        raise ValueError("the arrays are not those of trees")
    tests, leaves = len(forest.feature), len(forest.value)
    if not len(forest.root) or not leaves or any(len(each) != tests for each in (forest.threshold, forest.left, forest.right)):
        raise ValueError("the arrays of the trees differ in length")
    if tests and (forest.feature.min() < 0 or forest.feature.max() >= features):
        raise ValueError(f"a tree reads a column that is not one of {features}")
    for way in (forest.left, forest.right, forest.root):
        if len(way) and (way.max() >= tests or way.min() < -leaves):
            raise ValueError("a tree leads to a place that there is not")
    number = np.arange(tests)
    if any(((way >= 0) & (way <= number)).any() for way in (forest.left, forest.right)):
        raise ValueError("a tree leads back")
    if np.isnan(forest.threshold).any() or not np.isfinite(forest.value).all():
        raise ValueError("a tree has numbers that are not finite")
    return forest
