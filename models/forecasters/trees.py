"""Gradient-boosted trees as plain arrays: grown by LightGBM, evaluated by numpy.

All tests of all trees are made at once, and what remains of each tree's leaves is a byte (QuickScorer: Lucchese et al. 2015). That gives
LightGBM's own sums bit for bit, for one row as for many, without the library in memory and without code in the file.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_bytes
from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting
from forwardtrader.core.threads import one_thread

LEAVES: Final = 8
# Larger trees, finer bins or more rounds score no better out of sample on hourly coins, and cost more.
ROUNDS: Final = 60
HUBER_DELTA: Final = 1.0
# By how many leaves a tree may have: what holds a bit for each of them.
SETS_OF_LEAVES: Final[Mapping[int, type[np.uint8] | type[np.uint16]]] = {LEAVES: np.uint8, 16: np.uint16}
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "huber",
    "alpha": HUBER_DELTA,
    "learning_rate": 0.05,
    "num_leaves": LEAVES,
    "max_bin": 31,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_col_wise": True,
    "bin_construct_sample_cnt": 1500,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Trees:
    """K trees of at most L leaves, which are numbered from left to right: L is 8, or 16.

    Attributes:
        feature: int32 [K, L - 1], which column each test reads.
        threshold: float64 [K, L - 1]; the test is passed where the value is at most this, always where there is no test.
        left: uint8 or uint16 [K, L - 1], the leaves that are out of reach once a test is failed, a bit each.
        value: float64 [K, L], the value of each leaf.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.unsignedinteger[Any]]
    value: NDArray[np.float64]

    def predict_one(self, row: NDArray[np.float32]) -> np.float32:
        """The same for one row [F] and eight leaves, without the cost of a dozen operations on small arrays."""
        values, total = row.tolist(), 0.0
        for tests, leaves in self._as_lists:
            barred = 0
            for feature, threshold, left in tests:
                if values[feature] > threshold:
                    barred |= left
            total += leaves[_FIRST_FREE[barred]]
        return np.float32(total)

    @functools.cached_property
    def _as_lists(self) -> list[tuple[list[tuple[int, float, int]], list[float]]]:
        each = zip(self.feature.tolist(), self.threshold.tolist(), self.left.tolist(), self.value.tolist(), strict=True)
        return [([t for t in zip(f, th, lt, strict=True) if t[2]], leaves) for f, th, lt, leaves in each]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum over all trees for each row of finite features [n, F]: float32 [n]."""
        failed = features[:, self.feature.reshape(-1)] > self.threshold.reshape(-1)
        barred = np.where(failed.reshape(len(features), *self.left.shape), self.left, self.left.dtype.type(0))
        leaf = _lowest_free(self.value.shape[1])[np.bitwise_or.reduce(barred, axis=2)]
        values = self.value[np.arange(len(self.value)), leaf]
        # One order of addition however many rows there are.
        return np.asarray(np.cumsum(values, axis=1)[:, -1], dtype=np.float32)


def grow(features: NDArray[np.float32], target: NDArray[np.float32], *, seed: int) -> Trees:
    """Fit to finite features [n, F] and targets [n] with Huber's loss."""
    return as_trees(grown(features, target, PARAMETERS, rounds=ROUNDS, seed=seed))


def grown(
    features: NDArray[np.float32], target: NDArray[np.float32], parameters: Mapping[str, Any], *, rounds: int, seed: int
) -> list[dict[str, Any]]:
    """The trees that LightGBM grows in one thread, as it describes them.

    Raises:
        InvalidSetting: a parameter has a value that LightGBM refuses.
    """
    import lightgbm

    chosen = {**parameters, "seed": seed, "num_threads": 1}
    with one_thread():
        try:
            data = lightgbm.Dataset(features, label=target, params=chosen, free_raw_data=True)
            booster = lightgbm.train(chosen, data, num_boost_round=rounds)
        except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
            told = " ".join(str(error).split()).partition(" at /")[0]
            raise InvalidSetting(f"LightGBM refuses its parameters: {told}") from error
        trees: list[dict[str, Any]] = booster.dump_model()["tree_info"]
        return trees


def save(trees: Trees, path: Path) -> None:
    """Write the arrays, whole or not at all."""
    store = io.BytesIO()
    np.savez(store, feature=trees.feature, threshold=trees.threshold, left=trees.left, value=trees.value)
    write_bytes(path, store.getvalue())


def load(path: Path) -> Trees:
    """Read what `save` wrote.

    Raises:
        FingerprintMismatch: the file is absent, damaged, or not one of ours.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return Trees(stored["feature"], stored["threshold"], stored["left"], stored["value"])
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise FingerprintMismatch(f"{path} is absent or damaged; remove its folder and train again") from error


def as_trees(described: list[dict[str, Any]], leaves: int = LEAVES) -> Trees:
    """Trees of at most so many leaves, 8 or 16, as arrays."""
    count, shape = len(described), (len(described), leaves - 1)
    trees = Trees(np.zeros(shape, np.int32), np.full(shape, np.inf), np.zeros(shape, SETS_OF_LEAVES[leaves]), np.zeros((count, leaves)))
    for k, tree in enumerate(described):
        _place(trees, k, tree["tree_structure"], test=0, leaf=0)
    return trees


def _place(trees: Trees, k: int, node: dict[str, Any], test: int, leaf: int) -> tuple[int, int]:
    """Write a node and all below it from test number `test` and leaf number `leaf` on; returns the next free numbers."""
    if "split_feature" not in node:
        trees.value[k, leaf] = node["leaf_value"]
        return test, leaf + 1
    after, middle = _place(trees, k, node["left_child"], test + 1, leaf)
    trees.feature[k, test] = node["split_feature"]
    trees.threshold[k, test] = node["threshold"]
    trees.left[k, test] = (1 << middle) - (1 << leaf)
    return _place(trees, k, node["right_child"], after, middle)


_FIRST_FREE: Final = tuple(next((n for n in range(LEAVES) if not barred >> n & 1), 0) for barred in range(1 << LEAVES))


@functools.cache
def _lowest_free(leaves: int) -> NDArray[np.intp]:
    """For each set of barred leaves, the first that is not; 0 where all are."""
    barred = np.arange(1 << leaves)
    lowest = ~barred & (barred + 1)  # the bit of the first that is free
    return np.where(barred == barred[-1], 0, np.log2(lowest)).astype(np.intp)
